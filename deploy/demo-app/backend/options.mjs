// The command line of the sample backend's programs: each option is also an environment variable.

import { parseArgs } from 'node:util';

/** `table`: {name: {default, help, number?, flag?}}. Ends the process on --help and on what it does not know. */
export function readOptions(program, table) {
  const options = { help: { type: 'boolean', short: 'h' } };
  for (const [name, { flag }] of Object.entries(table)) options[name] = { type: flag ? 'boolean' : 'string' };
  let given;
  try {
    given = parseArgs({ options, strict: true }).values;
  } catch (error) {
    fail(program, error.message);
  }
  if (given.help) {
    console.log(usage(program, table));
    process.exit(0);
  }
  const result = {};
  for (const [name, entry] of Object.entries(table)) {
    const value = given[name] ?? process.env[variable(name)] ?? entry.default;
    result[name] = entry.number ? numberOf(program, name, value) : entry.flag ? Boolean(value) : value;
  }
  return result;
}

export function fail(program, message) {
  console.error(`${program}: ${message}`);
  process.exit(2);
}

function numberOf(program, name, value) {
  const number = Number(value);
  if (value === '' || !Number.isFinite(number) || number < 0) fail(program, `--${name} ${value}: not a number`);
  return number;
}

function variable(name) {
  return `BACKEND_${name.toUpperCase().replaceAll('-', '_')}`;
}

function usage(program, table) {
  const lines = Object.entries(table).map(([name, entry]) => {
    const shown = entry.flag ? '' : ` (default ${entry.default || "none"})`;
    return `  --${name.padEnd(10)} ${variable(name).padEnd(20)} ${entry.help}${shown}`;
  });
  return [`usage: ${program} [options]; each is an environment variable as well`, ...lines].join('\n');
}
