/** How a document says in which ways a function can be reset. */
import { Type, type Static } from 'typebox';
import type { ResetSpec } from '../../core/machine/index.ts';

export const RESET = Type.Object(
  {
    noFlr: Type.Optional(Type.Boolean({ description: 'Its FLR does not work, and Linux knows it. Default false.' })),
    noPm: Type.Optional(Type.Boolean({ description: 'The same of a reset from D3hot to D0.' })),
    noBus: Type.Optional(Type.Boolean({ description: 'The same of a bus reset, which it does not stand.' })),
    acpi: Type.Optional(Type.Enum(['works', 'fails'], { description: 'Firmware has a _RST for it.' })),
    deviceSpecific: Type.Optional(
      Type.Enum(['plain', 'flr-then-firmware', 'refuses'], {
        description: "It is in Linux's table of quirks: by means of its own, an FLR and a wait for firmware, or not for this one (ENOTTY).",
      }),
    ),
    firmwareWait: Type.Optional(Type.String({ description: 'How long the quirk waits for firmware: "250ms". Default "0s".' })),
  },
  { additionalProperties: false, description: 'How it can be reset.' },
);

/** By Max Link Speed, which counts from 1. */
export const LINK_SPEEDS = ['2.5GT/s', '5GT/s', '8GT/s', '16GT/s', '32GT/s', '64GT/s'] as const;

type ResetNode = Static<typeof RESET>;

/** `duration` reads the time of a key. */
export function resetSpec(node: ResetNode | undefined, duration: (key: string, text: string) => number): ResetSpec | undefined {
  if (node === undefined) return undefined;
  const { firmwareWait, ...spec } = node;
  return firmwareWait === undefined ? spec : { ...spec, firmwareNs: duration('firmwareWait', firmwareWait) };
}
