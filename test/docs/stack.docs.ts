import { runPages } from "./pages.ts";

runPages("stack");
