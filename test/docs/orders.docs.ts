import { runPages } from "./pages.ts";

runPages("orders");
