/** What the answers of calls promise of the function and its group (the numbers are those of the conformance tests). */
import { formatBdf } from '../core/base/index.ts';
import type { Command, InspectedFunction } from '../core/machine/index.ts';
import { fenced, idOf, type Violation } from './at-rest.ts';
import type { Outcome } from './outcome.ts';

type Answered = (outcome: Outcome, fn: InspectedFunction, was: InspectedFunction, command: Command) => Violation | undefined;

/** By command. */
export const ANSWERS: { readonly [K in Command['kind']]?: Answered } = {
  'model-dma'(outcome, fn, was, command) {
    const translated = command.kind === 'model-dma' && command.translated;
    if (!translated || outcome.word !== 'performed' || !fenced(fn) || !fenced(was)) return undefined;
    return { invariant: 17, text: `${formatBdf(fn.bdf)} is blocked, and a translated request of it was performed` };
  },
  'reset-prepare'(outcome, fn, was) {
    const name = formatBdf(fn.bdf);
    if (outcome.word === 'EBUSY') {
      const nested = was.resetDepth > 0 || fn.resetDepth > 0;
      return {
        invariant: nested ? 5 : 20,
        text: `prepare of ${name} is EBUSY: ${nested ? 'windows nest' : 'siblings reset independently'}`,
      };
    }
    if (outcome.word !== 'ok' || fn.itags === 0) return undefined;
    return { invariant: 16, text: `prepare of ${name} was answered while ${fn.itags} invalidations are on their way` };
  },
  'function-info'({ fields }, { bdf, group, physical, attachDeferred }) {
    const logical = idOf(group.domain);
    const same = fields['domain'] === logical && (attachDeferred || fields['physical'] === physical.type);
    if (same) return undefined;
    const said = `logical ${fields['domain']}, physical ${fields['physical']}`;
    return { invariant: 19, text: `${formatBdf(bdf)} has logical domain ${logical}, physical ${physical.type}; it says ${said}` };
  },
  'domain-attach'(outcome, { bdf, group }, was, command) {
    const domain = command.kind === 'domain-attach' ? command.domain : undefined;
    if (outcome.word !== 'EBUSY' || group.domain?.id !== domain || was.group.domain?.id !== domain) return undefined;
    return { invariant: 11, text: `attach of the domain that group ${group.id} of ${formatBdf(bdf)} has is EBUSY` };
  },
  'domain-detach'(outcome, { bdf, group }) {
    const rest = group.owned ? group.blockingDomain : group.restDomain;
    if (outcome.word === 'ok' && (rest === undefined || group.domain?.id === rest.id)) return undefined;
    return { invariant: 12, text: `detach of ${formatBdf(bdf)} is ${outcome.word}, and its group has domain ${idOf(group.domain)}` };
  },
  'owner-release'(outcome, { bdf, pasids, group }, was) {
    const may = was.group.owned && pasids.every(({ logical }) => logical === undefined);
    if (!may || outcome.word === 'ok') return undefined;
    return { invariant: 43, text: `release of group ${group.id} of ${formatBdf(bdf)} is ${outcome.word}` };
  },
  'pasid-detach'(outcome, fn, _was, command) {
    const detached = command.kind === 'pasid-detach' ? command.pasid : undefined;
    const left = fn.pasids.find(({ pasid, logical }) => logical !== undefined && pasid === detached);
    if (outcome.word === 'ok' && left === undefined) return undefined;
    return {
      invariant: 14,
      text: `detach of a PASID of ${formatBdf(fn.bdf)} is ${outcome.word}${left === undefined ? '' : ', and it is in the table'}`,
    };
  },
};
