import { describe, expect, test } from 'vitest';
import { createMetrics } from '../../../server/src/observe/index.ts';

const counts = {
  machines: 2,
  sessions: 3,
  machinesTotal: 5,
  sessionsTotal: 8,
  framesReceivedTotal: 13,
  framesSentTotal: 21,
  bytesReceivedTotal: 34,
  bytesSentTotal: 55,
  callsTotal: 2,
  errorsTotal: 1,
  eventsLostTotal: 6,
  peerMistakesTotal: 21,
  peerTimeoutsTotal: 4,
  crashesTotal: 9,
  resetsTotal: 89,
  faultsTotal: 144,
};

describe('metrics', () => {
  test('are what was counted at the moment of asking, each time', async () => {
    let now = counts;
    const metrics = createMetrics('1.2.3', () => now, false);
    expect(await metrics.text()).toContain('iommud_faults_total 144\n');
    now = { ...counts, faultsTotal: 145, sessions: 0 };
    const text = await metrics.text();
    expect(text).toContain('iommud_faults_total 145\n');
    expect(text).toContain('iommud_sessions 0\n');
    expect(text).toContain('iommud_frames_total{direction="received"} 13\n');
    expect(text).toContain('iommud_frames_total{direction="sent"} 21\n');
    expect(text).toContain('iommud_bytes_total{direction="sent"} 55\n');
    expect(text).toContain('iommud_machines_created_total 5\n');
    expect(text).toContain('iommud_resets_total 89\n');
    expect(text).toContain('iommud_events_lost_total 6\n');
    expect(text).toContain('iommud_machine_crashes_total 9\n');
    expect(text).toContain('iommud_build_info{version="1.2.3"} 1\n');
    expect(metrics.contentType).toMatch(/^text\/plain/);
  });
});
