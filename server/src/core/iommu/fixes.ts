/**
 * Fixes of Linux's reset window between 7.0 and 7.1, by commit: what each changed that a machine can show. A machine has all of them, none
 * (`linux-7.0`), or all but some that were switched off to see what they mend.
 */
export const FIXES = {
  b296ca1fb43a: 'siblings of a group reset independently; without it a second window in the group is EBUSY',
  '1615e8896a8f':
    'done restores the PASIDs of the function that was reset; without it those of every member, in a window of their own or not',
  '0d5fd7a9323c': 'windows nest by depth; without it prepare in a window is EBUSY',
  fc3523b16d2b: 'a PASID detached in a window is left alone on the blocked function; without it an invalidation is sent there',
  '5474e6e17a26': 'moves that must succeed pass the fence; without it they are lost, and the group keeps the domain',
} as const;
export type Fix = keyof typeof FIXES;

export const FIX_NAMES = Object.keys(FIXES) as Fix[];
