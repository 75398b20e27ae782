import { ModelError, assert, type StateFields } from '../base/index.ts';
import type { AddressSpace, Space, SpaceType } from './address-space.ts';
import type { SpaceTables, TablesChoice } from './space-tables.ts';

/** The address spaces of a machine. */
export class Spaces {
  readonly #tables: SpaceTables;
  readonly #byId = new Map<number, Space>();
  #last = 0;

  constructor(tables: SpaceTables) {
    this.#tables = tables;
  }

  /** Throws {@link ModelError} for tables that cannot be: see {@link TablesChoice}. */
  create(type: SpaceType, choice: TablesChoice = {}): Space {
    const tables = type === 'paging' ? this.#tables.make(choice, this.#secondOf(choice.parent)) : undefined;
    const space: Space = { id: ++this.#last, type, tables, tag: 0, cachedPagesLg2: 0, contexts: new Set() };
    this.#byId.set(space.id, space);
    return space;
  }

  /** Frees the tables. No context may point at the space. */
  destroy(space: AddressSpace): void {
    const own = this.own(space);
    assert(own.contexts.size === 0, `address space ${space.id} is destroyed while ${own.contexts.size} contexts use it`);
    own.tables?.free();
    this.#byId.delete(own.id);
  }

  own(space: AddressSpace): Space {
    const own = this.#byId.get(space.id);
    assert(own === space, `address space ${space.id} is not one of this machine`);
    return own;
  }

  all(): IterableIterator<Space> {
    return this.#byId.values();
  }

  state(fields: StateFields): void {
    fields.keep('tables', this.#tables);
    fields.keep('byId', this.#byId);
    this.#last = fields.field('last', this.#last);
  }

  #secondOf(parent: AddressSpace | undefined): Space['tables'] {
    if (parent === undefined) return undefined;
    const { tables, type } = this.own(parent);
    if (tables === undefined) throw new ModelError('EINVAL', `the parent of a nested domain is a paging domain, and not ${type}`, 'parent');
    return tables;
  }
}
