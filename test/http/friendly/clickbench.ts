/**
 * ClickBench: its one table, with all 105 columns, small and made up by hashes, and its 43 queries as DuckDB's repository has them,
 * with thresholds and offsets that fit so few rows. Their licence: LICENSE.duckdb, beside this file.
 * @see https://github.com/duckdb/duckdb/tree/main/benchmark/clickbench
 */

const texts = (names: string) =>
  names
    .split(" ")
    .map((name) => `CASE WHEN i % 7 = 1 THEN '${name} ' || i % 50 ELSE '' END AS ${name}`);
const numbers = (names: string) =>
  names.split(" ").map((name) => `(hash(i, '${name}') % 4)::SMALLINT AS ${name}`);
const pick = (seed: string, ...values: string[]) =>
  `([${values.join(", ")}])[1 + (hash(i, '${seed}') % ${values.length})::BIGINT]`;

/** A SELECT for the table `hits`. */
export const hits = (rows: number): string =>
  `SELECT ${[
    "(hash(i) // 2)::BIGINT AS WatchID",
    ...numbers("JavaEnable"),
    `${pick("Title", "'Google maps'", "'A page'", "'News of Google'", "''")} AS Title`,
    "1::SMALLINT AS GoodEvent",
    "TIMESTAMP '2013-07-01 00:00:00' + to_seconds((hash(i, 'time') % 2592000)::BIGINT) AS EventTime",
    "(TIMESTAMP '2013-07-01 00:00:00' + to_seconds((hash(i, 'time') % 2592000)::BIGINT))::DATE AS EventDate",
    `${pick("CounterID", "62", "62", "62", "34", "3922")}::INTEGER AS CounterID`,
    "(hash(i % 300, 'ip') % 100000)::INTEGER AS ClientIP",
    "(hash(i, 'region') % 100)::INTEGER AS RegionID",
    "CASE WHEN i % 50 = 7 THEN 435090932899640449 ELSE (hash(i % 900, 'user') // 2)::BIGINT END AS UserID",
    ...numbers("CounterClass OS UserAgent"),
    `${pick("URL", "'http://google.example/'", "'http://news.example/'", "'http://a.google.example/?q='")} || i % 40 AS URL`,
    `${pick("Referer", "'https://www.search.example/'", "'http://other.example/x'", "''")} || ${pick("Page", "'a'", "'b'", "''")} AS Referer`,
    `${pick("IsRefresh", "0", "0", "0", "1")}::SMALLINT AS IsRefresh`,
    ...numbers("RefererCategoryID RefererRegionID URLCategoryID URLRegionID"),
    "(1000 + hash(i, 'width') % 900)::SMALLINT AS ResolutionWidth",
    ...numbers(
      "ResolutionHeight ResolutionDepth FlashMajor FlashMinor FlashMinor2 NetMajor NetMinor UserAgentMajor",
    ),
    ...texts("UserAgentMinor"),
    ...numbers("CookieEnable JavascriptEnable IsMobile MobilePhone"),
    ...texts("MobilePhoneModel Params"),
    ...numbers("IPNetworkID"),
    `${pick("TraficSourceID", "-1", "6", "0", "1")}::SMALLINT AS TraficSourceID`,
    ...numbers("SearchEngineID"),
    `${pick("SearchPhrase", "''", "''", "'how to'", "'maps'", "'weather ' || i % 30")} AS SearchPhrase`,
    ...numbers("AdvEngineID IsArtifical"),
    "(300 + i % 20 * 50)::SMALLINT AS WindowClientWidth",
    "(300 + i % 17 * 50)::SMALLINT AS WindowClientHeight",
    ...numbers("ClientTimeZone"),
    "TIMESTAMP '2013-07-15 10:00:00' AS ClientEventTime",
    ...numbers("SilverlightVersion1 SilverlightVersion2 SilverlightVersion3 SilverlightVersion4"),
    ...texts("PageCharset"),
    ...numbers("CodeVersion IsLink"),
    `${pick("IsDownload", "0", "0", "1")}::SMALLINT AS IsDownload`,
    ...numbers("IsNotBounce"),
    "(hash(i, 'funiq') // 2)::BIGINT AS FUniqID",
    ...texts("OriginalURL"),
    ...numbers("HID IsOldCounter IsEvent IsParameter"),
    `${pick("DontCountHits", "0", "0", "0", "1")}::SMALLINT AS DontCountHits`,
    ...numbers("WithHash"),
    "'T' AS HitColor",
    "TIMESTAMP '2013-07-15 10:00:00' AS LocalEventTime",
    ...numbers("Age Sex Income Interests Robotness RemoteIP WindowName OpenerName HistoryLength"),
    ...texts("BrowserLanguage BrowserCountry SocialNetwork SocialAction"),
    ...numbers(
      "HTTPError SendTiming DNSTiming ConnectTiming ResponseStartTiming ResponseEndTiming FetchTiming SocialSourceNetworkID",
    ),
    ...texts("SocialSourcePage"),
    "(hash(i, 'price') % 1000)::BIGINT AS ParamPrice",
    ...texts("ParamOrderID ParamCurrency"),
    ...numbers("ParamCurrencyID"),
    ...texts("OpenstatServiceName OpenstatCampaignID OpenstatAdID OpenstatSourceID"),
    ...texts("UTMSource UTMMedium UTMCampaign UTMContent UTMTerm FromTag"),
    ...numbers("HasGCLID"),
    `${pick("RefererHash", "3594120000172545465", "1", "2")}::BIGINT AS RefererHash`,
    `${pick("URLHash", "2868770270353813622", "2868770270353813622", "1")}::BIGINT AS URLHash`,
    ...numbers("CLID"),
  ].join(", ")} FROM range(${rows}) t(i)`;

const july = "CounterID = 62 AND EventDate >= '2013-07-01' AND EventDate <= '2013-07-31'";

export const clickbenchQueries: readonly string[] = [
  "SELECT COUNT(*) FROM hits;",
  "SELECT COUNT(*) FROM hits WHERE AdvEngineID <> 0;",
  "SELECT SUM(AdvEngineID), COUNT(*), AVG(ResolutionWidth) FROM hits;",
  "SELECT AVG(UserID) FROM hits;",
  "SELECT COUNT(DISTINCT UserID) FROM hits;",
  "SELECT COUNT(DISTINCT SearchPhrase) FROM hits;",
  "SELECT MIN(EventDate), MAX(EventDate) FROM hits;",
  "SELECT AdvEngineID, COUNT(*) FROM hits WHERE AdvEngineID <> 0 GROUP BY AdvEngineID ORDER BY COUNT(*) DESC;",
  "SELECT RegionID, COUNT(DISTINCT UserID) AS u FROM hits GROUP BY RegionID ORDER BY u DESC LIMIT 10;",
  "SELECT RegionID, SUM(AdvEngineID), COUNT(*) AS c, AVG(ResolutionWidth), COUNT(DISTINCT UserID) FROM hits GROUP BY RegionID ORDER BY c DESC LIMIT 10;",
  "SELECT MobilePhoneModel, COUNT(DISTINCT UserID) AS u FROM hits WHERE MobilePhoneModel <> '' GROUP BY MobilePhoneModel ORDER BY u DESC LIMIT 10;",
  "SELECT MobilePhone, MobilePhoneModel, COUNT(DISTINCT UserID) AS u FROM hits WHERE MobilePhoneModel <> '' GROUP BY MobilePhone, MobilePhoneModel ORDER BY u DESC LIMIT 10;",
  "SELECT SearchPhrase, COUNT(*) AS c FROM hits WHERE SearchPhrase <> '' GROUP BY SearchPhrase ORDER BY c DESC LIMIT 10;",
  "SELECT SearchPhrase, COUNT(DISTINCT UserID) AS u FROM hits WHERE SearchPhrase <> '' GROUP BY SearchPhrase ORDER BY u DESC LIMIT 10;",
  "SELECT SearchEngineID, SearchPhrase, COUNT(*) AS c FROM hits WHERE SearchPhrase <> '' GROUP BY SearchEngineID, SearchPhrase ORDER BY c DESC LIMIT 10;",
  "SELECT UserID, COUNT(*) FROM hits GROUP BY UserID ORDER BY COUNT(*) DESC LIMIT 10;",
  "SELECT UserID, SearchPhrase, COUNT(*) FROM hits GROUP BY UserID, SearchPhrase ORDER BY COUNT(*) DESC LIMIT 10;",
  "SELECT UserID, SearchPhrase, COUNT(*) FROM hits GROUP BY UserID, SearchPhrase LIMIT 10;",
  "SELECT UserID, extract(minute FROM EventTime) AS m, SearchPhrase, COUNT(*) FROM hits GROUP BY UserID, m, SearchPhrase ORDER BY COUNT(*) DESC LIMIT 10;",
  "SELECT UserID FROM hits WHERE UserID = 435090932899640449;",
  "SELECT COUNT(*) FROM hits WHERE URL LIKE '%google%';",
  "SELECT SearchPhrase, MIN(URL), COUNT(*) AS c FROM hits WHERE URL LIKE '%google%' AND SearchPhrase <> '' GROUP BY SearchPhrase ORDER BY c DESC LIMIT 10;",
  "SELECT SearchPhrase, MIN(URL), MIN(Title), COUNT(*) AS c, COUNT(DISTINCT UserID) FROM hits WHERE Title LIKE '%Google%' AND URL NOT LIKE '%.google.%' AND SearchPhrase <> '' GROUP BY SearchPhrase ORDER BY c DESC LIMIT 10;",
  "SELECT * FROM hits WHERE URL LIKE '%google%' ORDER BY EventTime LIMIT 10;",
  "SELECT SearchPhrase FROM hits WHERE SearchPhrase <> '' ORDER BY EventTime LIMIT 10;",
  "SELECT SearchPhrase FROM hits WHERE SearchPhrase <> '' ORDER BY SearchPhrase LIMIT 10;",
  "SELECT SearchPhrase FROM hits WHERE SearchPhrase <> '' ORDER BY EventTime, SearchPhrase LIMIT 10;",
  "SELECT CounterID, AVG(STRLEN(URL)) AS l, COUNT(*) AS c FROM hits WHERE URL <> '' GROUP BY CounterID HAVING COUNT(*) > 1000 ORDER BY l DESC LIMIT 25;",
  "SELECT REGEXP_REPLACE(Referer, '^https?://(?:www\\.)?([^/]+)/.*$', '\\1') AS k, AVG(STRLEN(Referer)) AS l, COUNT(*) AS c, MIN(Referer) FROM hits WHERE Referer <> '' GROUP BY k HAVING COUNT(*) > 1000 ORDER BY l DESC LIMIT 25;",
  `SELECT ${Array.from({ length: 90 }, (_, i) => `SUM(ResolutionWidth${i === 0 ? "" : ` + ${i}`})`).join(", ")} FROM hits;`,
  "SELECT SearchEngineID, ClientIP, COUNT(*) AS c, SUM(IsRefresh), AVG(ResolutionWidth) FROM hits WHERE SearchPhrase <> '' GROUP BY SearchEngineID, ClientIP ORDER BY c DESC LIMIT 10;",
  "SELECT WatchID, ClientIP, COUNT(*) AS c, SUM(IsRefresh), AVG(ResolutionWidth) FROM hits WHERE SearchPhrase <> '' GROUP BY WatchID, ClientIP ORDER BY c DESC LIMIT 10;",
  "SELECT WatchID, ClientIP, COUNT(*) AS c, SUM(IsRefresh), AVG(ResolutionWidth) FROM hits GROUP BY WatchID, ClientIP ORDER BY c DESC LIMIT 10;",
  "SELECT URL, COUNT(*) AS c FROM hits GROUP BY URL ORDER BY c DESC LIMIT 10;",
  "SELECT 1, URL, COUNT(*) AS c FROM hits GROUP BY 1, URL ORDER BY c DESC LIMIT 10;",
  "SELECT ClientIP, ClientIP - 1, ClientIP - 2, ClientIP - 3, COUNT(*) AS c FROM hits GROUP BY ClientIP, ClientIP - 1, ClientIP - 2, ClientIP - 3 ORDER BY c DESC LIMIT 10;",
  `SELECT URL, COUNT(*) AS PageViews FROM hits WHERE ${july} AND DontCountHits = 0 AND IsRefresh = 0 AND URL <> '' GROUP BY URL ORDER BY PageViews DESC LIMIT 10;`,
  `SELECT Title, COUNT(*) AS PageViews FROM hits WHERE ${july} AND DontCountHits = 0 AND IsRefresh = 0 AND Title <> '' GROUP BY Title ORDER BY PageViews DESC LIMIT 10;`,
  `SELECT URL, COUNT(*) AS PageViews FROM hits WHERE ${july} AND IsRefresh = 0 AND IsLink <> 0 AND IsDownload = 0 GROUP BY URL ORDER BY PageViews DESC LIMIT 10 OFFSET 50;`,
  `SELECT TraficSourceID, SearchEngineID, AdvEngineID, CASE WHEN (SearchEngineID = 0 AND AdvEngineID = 0) THEN Referer ELSE '' END AS Src, URL AS Dst, COUNT(*) AS PageViews FROM hits WHERE ${july} AND IsRefresh = 0 GROUP BY TraficSourceID, SearchEngineID, AdvEngineID, Src, Dst ORDER BY PageViews DESC LIMIT 10 OFFSET 1000;`,
  `SELECT URLHash, EventDate, COUNT(*) AS PageViews FROM hits WHERE ${july} AND IsRefresh = 0 AND TraficSourceID IN (-1, 6) AND RefererHash = 3594120000172545465 GROUP BY URLHash, EventDate ORDER BY PageViews DESC LIMIT 10 OFFSET 10;`,
  `SELECT WindowClientWidth, WindowClientHeight, COUNT(*) AS PageViews FROM hits WHERE ${july} AND IsRefresh = 0 AND DontCountHits = 0 AND URLHash = 2868770270353813622 GROUP BY WindowClientWidth, WindowClientHeight ORDER BY PageViews DESC LIMIT 10 OFFSET 100;`,
  "SELECT DATE_TRUNC('minute', EventTime) AS M, COUNT(*) AS PageViews FROM hits WHERE CounterID = 62 AND EventDate >= '2013-07-14' AND EventDate <= '2013-07-15' AND IsRefresh = 0 AND DontCountHits = 0 GROUP BY DATE_TRUNC('minute', EventTime) ORDER BY DATE_TRUNC('minute', EventTime) LIMIT 10 OFFSET 100;",
];
