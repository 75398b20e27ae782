/** Network namespaces, each with one link to this one, which can go down. Need root and `ip`. */
import { execFileSync, spawnSync } from 'node:child_process';

/** Interfaces have short names; a process has its own. */
const tag = `iommud${process.pid % 100_000}`;

function ip(...args: readonly string[]): void {
  execFileSync('ip', args, { stdio: 'pipe' });
}

/** Why there can be no namespaces here; undefined where they can be. */
export function whyNoNamespaces(): string | undefined {
  const made = spawnSync('ip', ['netns', 'add', `${tag}x`], { encoding: 'utf8' });
  if (made.error !== undefined) return 'there is no `ip`';
  if (made.status !== 0) return made.stderr.trim();
  const paired = spawnSync('ip', ['link', 'add', `v${tag}x`, 'type', 'veth', 'peer', 'name', `w${tag}x`], { encoding: 'utf8' });
  spawnSync('ip', ['link', 'del', `v${tag}x`]);
  spawnSync('ip', ['netns', 'del', `${tag}x`]);
  return paired.status === 0 ? undefined : paired.stderr.trim();
}

export class Namespace {
  /** Of this end: where programs in the namespace find what listens here. */
  readonly address: string;
  /** What runs a command in it. */
  readonly within: readonly string[];
  readonly #name: string;
  readonly #far: string;

  /** `n`, 0 to 255: its number in this process. */
  constructor(n: number) {
    this.#name = `${tag}${n}`;
    this.#far = `w${this.#name}`;
    this.address = `10.213.${n}.1`;
    this.within = ['ip', 'netns', 'exec', this.#name];
    const near = `v${this.#name}`;
    ip('netns', 'add', this.#name);
    ip('link', 'add', near, 'type', 'veth', 'peer', 'name', this.#far);
    ip('link', 'set', this.#far, 'netns', this.#name);
    ip('addr', 'add', `${this.address}/30`, 'dev', near);
    ip('link', 'set', near, 'up');
    ip('-n', this.#name, 'addr', 'add', `10.213.${n}.2/30`, 'dev', this.#far);
    this.link('up');
  }

  /** Down: nothing passes, and nobody is told. */
  link(state: 'up' | 'down'): void {
    ip('-n', this.#name, 'link', 'set', this.#far, state);
  }

  /** Its link goes with it. */
  remove(): void {
    spawnSync('ip', ['netns', 'del', this.#name]);
  }
}
