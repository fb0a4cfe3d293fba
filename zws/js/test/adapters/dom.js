// A document for the tests of the adapters. Import it before the test tool of a framework.

import { GlobalRegistrator } from '@happy-dom/global-registrator';

GlobalRegistrator.register({ url: 'https://host/' });
globalThis.IS_REACT_ACT_ENVIRONMENT = true;
