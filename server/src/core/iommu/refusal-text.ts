import { errorName, formatBdf, type Errno } from '../base/index.ts';
import type { Group } from './group.ts';

/** The sentence that goes with a refusal of the IOMMU core. */
export function refusalText(error: Errno, group: Group, doing: string): string {
  const name = errorName(error);
  if (name === 'EBUSY' && group.recoveryCount > 0) {
    const blocked = group.members.filter((device) => device.blocked).map((device) => formatBdf(device.bdf));
    return `${doing}: group ${group.id} has ${blocked.join(', ')} in a reset window; try again after reset-done`;
  }
  return `${doing}: ${name} from group ${group.id}`;
}
