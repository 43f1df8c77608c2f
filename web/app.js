// The page: a header with the service's health, and a panel for each stream.

import {channel} from "./channel.js";
import {header} from "./header.js";
import {log} from "./log.js";
import {progress} from "./progress.js";
import {ticker} from "./ticker.js";
import {startWithToken} from "./token.js";

header();
startWithToken();
ticker();
progress();
log();
channel();
