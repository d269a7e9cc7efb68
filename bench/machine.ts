/** What the numbers were measured on, without anything that names the machine. */
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem, type } from 'node:os';

export interface Machine {
  readonly lines: readonly string[];
}

export function describeMachine(versions: readonly string[], adapter: string): Machine {
  const model = cpus()[0]?.model.trim() ?? 'unknown';
  const memory = (totalmem() / 2 ** 30).toFixed(0);
  return {
    lines: [
      `CPU: ${model}, ${availableParallelism()} cores for this process, ${cacheOf()}${memory} GiB of memory`,
      `System: ${type()} ${release().split('-')[0]}, ${process.arch}`,
      `Node ${process.versions.node}, V8 ${process.versions.v8}`,
      `WebGPU: ${adapter}`,
      ...(versions.length > 0 ? [`Compared with: ${versions.join(', ')}`] : []),
    ],
  };
}

/** The last level of cache, where Linux says it: it decides what copying costs. */
function cacheOf(): string {
  try {
    const size = readFileSync('/sys/devices/system/cpu/cpu0/cache/index3/size', 'utf8').trim();
    return `${size.replace(/K$/, ' KiB')} of shared cache, `;
  } catch {
    return '';
  }
}
