import { runPages } from "./pages.ts";

runPages("pond");
