import { describe, expect, it } from 'vitest';
import { NO_PASID, pasid } from '../../../server/src/core/base/index.ts';
import { PageRequester } from '../../../server/src/core/devices/page-requester.ts';

describe('a function’s page requests', () => {
  it('count against its credits until the group’s response', () => {
    const requester = new PageRequester();
    const first = requester.send(0, NO_PASID, 3, false, 0);
    expect(requester.send(0, NO_PASID, 2, true, 41)).toEqual(first);
    expect(requester.outstanding).toBe(5);
    expect(requester.respond(0, first.serial)).toBe(41);
    expect(requester.outstanding).toBe(0);
    expect(requester.respond(0, first.serial)).toBeUndefined();
  });

  it('have a group from its first request to its response', () => {
    const requester = new PageRequester();
    expect(requester.freeGroup()).toBe(0);
    requester.send(0, pasid(5), 1, false, 0);
    expect([requester.stateOf(0, pasid(5)), requester.stateOf(0, NO_PASID), requester.freeGroup()]).toEqual(['begun', 'other-pasid', 1]);
    const { serial } = requester.send(0, pasid(5), 1, true, 1);
    expect(requester.stateOf(0, pasid(5))).toBe('whole');
    requester.respond(0, serial);
    expect([requester.stateOf(0, pasid(5)), requester.freeGroup()]).toEqual(['free', 0]);
  });

  it('have 512 groups', () => {
    const requester = new PageRequester();
    for (let group = 0; group < 512; group++) requester.send(requester.freeGroup(), NO_PASID, 1, true, 0);
    expect([requester.outstanding, requester.freeGroup()]).toEqual([512, -1]);
  });

  it('know a response to a group that a reset took from one to its successor', () => {
    const requester = new PageRequester();
    const old = requester.send(7, NO_PASID, 1, true, 1);
    expect(requester.reset()).toEqual([1]);
    expect(requester.outstanding).toBe(0);
    const next = requester.send(7, NO_PASID, 1, true, 2);
    expect(requester.respond(7, old.serial)).toBeUndefined();
    expect(requester.outstanding).toBe(1);
    expect(requester.respond(7, next.serial)).toBe(2);
  });

  it('of a stopped PASID are stale: their responses bring credits and nothing else', () => {
    const requester = new PageRequester();
    const stopped = requester.send(0, pasid(5), 2, true, 1);
    const other = requester.send(1, pasid(6), 1, true, 2);
    expect(requester.stop(pasid(5))).toEqual([1]);
    expect(requester.stop(pasid(5))).toEqual([]);
    expect(requester.outstanding).toBe(3);
    expect(requester.respond(0, stopped.serial)).toBe(0);
    expect(requester.outstanding).toBe(1);
    expect(requester.reset()).toEqual([2]);
    expect(requester.respond(1, other.serial)).toBeUndefined();
  });

  it('of a PASID that are not whole hold back its Stop Marker', () => {
    const requester = new PageRequester();
    requester.send(0, pasid(5), 1, false, 0);
    expect([requester.hasBegun(pasid(5)), requester.hasBegun(pasid(6))]).toEqual([true, false]);
    requester.send(0, pasid(5), 1, true, 1);
    expect(requester.hasBegun(pasid(5))).toBe(false);
  });
});
