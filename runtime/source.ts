/** Loads the text of WGSL files, in browsers and in Node. */
import { fail } from './error.ts';
import { rememberSuccess } from './remember.ts';

const loaded = new Map<string, Promise<string>>();

/** The text at a URL, fetched once. Node has no fetch for files, so there the file system is read. */
export function loadSource(url: URL): Promise<string> {
  return rememberSuccess(loaded, url.href, () => load(url));
}

async function load(url: URL): Promise<string> {
  // not imported, so that no bundler looks for it
  const files = globalThis.process?.getBuiltinModule?.('node:fs/promises');
  if (files && url.protocol === 'file:') return files.readFile(url, 'utf8');
  const response = await fetch(url);
  return response.ok ? response.text() : fail('kernel', `cannot load ${url.href}: status ${response.status}`);
}
