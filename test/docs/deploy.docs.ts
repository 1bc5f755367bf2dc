import { runPages } from "./pages.ts";

runPages("deploy");
