import { runPages } from "./pages.ts";

runPages("image");
