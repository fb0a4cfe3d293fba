// zwsbridge: made by bundle.mjs from the modules beside it. SPDX-License-Identifier: MPL-2.0
export{i as Mux}from"../zws.js";
//# sourceMappingURL=mux.js.map
