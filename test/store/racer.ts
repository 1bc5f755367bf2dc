import { FolderStore } from "../../app/store/folder-store.ts";

// A process that counts one up in a shared object, as often as it is told to try, and prints how often it won.
const [folder = "", name = "", rounds = "0"] = process.argv.slice(2);
const store = FolderStore.open(folder, `${folder}/.millpond/scratch`);
let wins = 0;
for (let round = 0; round < Number(rounds); round += 1) {
  const found = await store.read("lake/race");
  const count = found === undefined ? 0 : (JSON.parse(found.text) as { count: number }).count;
  const put = await store.putText("lake/race", JSON.stringify({ count: count + 1, name }), {
    condition: found === undefined ? { ifAbsent: true } : { ifMatch: found.etag },
    contentType: "application/json",
  });
  if (put.kind === "stored") wins += 1;
}
process.stdout.write(String(wins));
await store.close();
