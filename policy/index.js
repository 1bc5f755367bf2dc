// JavaScript, as Pulumi would compile TypeScript here by a compiler of its own; what it loads Node reads by itself.
import { PolicyPack } from "@pulumi/policy";
import { policies } from "./policies.ts";

new PolicyPack("millpond", { policies, enforcementLevel: "mandatory" });
