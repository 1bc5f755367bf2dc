import { expect } from "chai";
import { extensionsFrom } from "../app/extensions.ts";

describe("extensionsFrom", () => {
  it("trusts the image's folder alone", () => {
    const sealed = { MILLPOND_SEALED_EXTENSIONS: "/opt/ext" };

    expect(extensionsFrom({})).to.deep.equal({ folder: undefined, sealed: false });
    expect(extensionsFrom(sealed)).to.deep.equal({ folder: "/opt/ext", sealed: true });
    expect(extensionsFrom({ ...sealed, MILLPOND_EXTENSIONS: "/tmp/ext" })).to.deep.equal({
      folder: "/tmp/ext",
      sealed: false,
    });
  });
});
