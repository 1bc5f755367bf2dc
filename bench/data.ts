/** Rows that benchmarks read, made up by hashes: the same on every machine. */

/** Like a shop's orders, as TPC-H has them: keys, amounts, days, words. 7 columns. */
export const orders = (count: number) =>
  `SELECT i AS order_key, (hash(i) % 150000)::BIGINT AS customer, (hash(i, 'p') % 5000000) / 100.0 AS price,
   DATE '1992-01-01' + (hash(i, 'd') % 2400)::INTEGER AS day,
   ['URGENT', 'HIGH', 'MEDIUM', 'LOW'][1 + (hash(i, 'u') % 4)::INTEGER] AS priority,
   'Clerk#' || lpad((hash(i, 'c') % 1000)::TEXT, 9, '0') AS clerk,
   md5(i::TEXT) AS comment FROM range(${count}) t(i)`;

/** Six columns of what answers mostly hold. */
export const narrow = (count: number) =>
  `SELECT order_key, customer, price, day, priority, clerk FROM (${orders(count)})`;

/** Ten. */
export const wide = (count: number) =>
  `SELECT order_key, customer, price, day, priority, clerk, (hash(order_key, 'l') % 50)::INTEGER AS quantity,
   TIMESTAMP '1992-01-01 00:00:00' + to_seconds((hash(order_key, 't') % 200000000)::BIGINT) AS shipped,
   hash(order_key, 'b') % 2 = 0 AS returned, (hash(order_key, 'x') % 1000) / 7.0 AS discount
   FROM (${orders(count)})`;
