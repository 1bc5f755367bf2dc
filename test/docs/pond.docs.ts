import { runPages } from "./pages.ts";

runPages(import.meta.filename);
