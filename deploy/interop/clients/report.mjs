// What a client has received, as a line of JSON for the test.
export const report = (id, data) => process.stdout.write(JSON.stringify({ id, data }) + '\n')
export const url = process.argv[2]
