import { runPages } from "./pages.ts";

runPages("clone");
