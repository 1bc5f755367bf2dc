import { runPages } from "./pages.ts";

runPages("thumbnails");
