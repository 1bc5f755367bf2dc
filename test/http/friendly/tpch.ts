/**
 * TPC-H: its tables, small and made up by hashes, and its 22 queries with the parameters that the specification gives for validation,
 * as DuckDB's repository has them. Their licence: LICENSE.duckdb, beside this file.
 * @see https://github.com/duckdb/duckdb/tree/main/extension/tpch
 */

const pick = (list: string, seed: string) =>
  `(${list})[1 + (hash(${seed}) % len(${list}))::BIGINT]`;
const colours = "['almond', 'forest', 'green', 'ivory', 'lemon', 'navy', 'rose', 'snow']";
const segments = "['AUTOMOBILE', 'BUILDING', 'FURNITURE', 'HOUSEHOLD', 'MACHINERY']";
const priorities = "['1-URGENT', '2-HIGH', '3-MEDIUM', '4-NOT SPECIFIED', '5-LOW']";
const modes = "['AIR', 'AIR REG', 'FOB', 'MAIL', 'RAIL', 'SHIP', 'TRUCK']";
const instructions = "['COLLECT COD', 'DELIVER IN PERSON', 'NONE', 'TAKE BACK RETURN']";
const containers =
  "['SM CASE', 'SM BOX', 'SM PACK', 'SM PKG', 'MED BAG', 'MED BOX', 'MED PKG', 'LG CASE', 'LG BOX', 'LG PACK', 'LG PKG', 'JUMBO PKG']";
const materials = "['BRASS', 'COPPER', 'NICKEL', 'STEEL', 'TIN']";
const makes = "['ECONOMY ANODIZED', 'MEDIUM POLISHED', 'PROMO BURNISHED', 'STANDARD PLATED']";
const nations =
  "['ALGERIA', 'ARGENTINA', 'BRAZIL', 'CANADA', 'EGYPT', 'ETHIOPIA', 'FRANCE', 'GERMANY', 'INDIA', 'INDONESIA', 'IRAN', 'IRAQ', " +
  "'JAPAN', 'JORDAN', 'KENYA', 'MOROCCO', 'MOZAMBIQUE', 'PERU', 'CHINA', 'ROMANIA', 'SAUDI ARABIA', 'VIETNAM', 'RUSSIA', " +
  "'UNITED KINGDOM', 'UNITED STATES']";
const regionOf = "[0, 1, 1, 1, 4, 0, 3, 3, 2, 2, 4, 4, 2, 4, 0, 0, 0, 1, 2, 3, 4, 2, 3, 3, 1]";

/** A SELECT for each table. */
export const tpchTables: Readonly<Record<string, string>> = {
  region: `SELECT i::INTEGER AS r_regionkey, (['AFRICA', 'AMERICA', 'ASIA', 'EUROPE', 'MIDDLE EAST'])[i + 1] AS r_name,
    'text' AS r_comment FROM range(5) t(i)`,
  nation: `SELECT i::INTEGER AS n_nationkey, (${nations})[i + 1] AS n_name, (${regionOf})[i + 1]::INTEGER AS n_regionkey,
    'text' AS n_comment FROM range(25) t(i)`,
  supplier: `SELECT i AS s_suppkey, printf('Supplier#%09d', i) AS s_name, 'street ' || i AS s_address,
    (i % 25)::INTEGER AS s_nationkey, printf('%d-123', 10 + i % 25) AS s_phone, ((hash(i) % 1000000)::BIGINT / 100)::DECIMAL(15, 2) AS s_acctbal,
    CASE WHEN i % 20 = 7 THEN 'some Customer said Complaints' ELSE 'fine' END AS s_comment FROM range(1, 101) t(i)`,
  part: `SELECT i AS p_partkey, ${pick(colours, "i")} || ' ' || ${pick(colours, "i + 7")} AS p_name,
    'Manufacturer#' || (1 + i % 5) AS p_mfgr, 'Brand#' || (1 + i % 5) || (1 + (hash(i) % 5)::BIGINT) AS p_brand,
    ${pick(makes, "i * 3")} || ' ' || ${pick(materials, "i * 5")} AS p_type, (1 + (hash(i * 11) % 50)::BIGINT)::INTEGER AS p_size,
    ${pick(containers, "i * 13")} AS p_container, (900 + i % 1000)::DECIMAL(15, 2) AS p_retailprice, 'text' AS p_comment
    FROM range(1, 2001) t(i)`,
  partsupp: `SELECT p AS ps_partkey, 1 + (p * 7 + s * 25) % 100 AS ps_suppkey, (1 + (hash(p, s) % 9999)::BIGINT)::INTEGER AS ps_availqty,
    (1 + (hash(s, p) % 100000)::BIGINT / 100)::DECIMAL(15, 2) AS ps_supplycost, 'text' AS ps_comment FROM range(1, 2001) a(p), range(4) b(s)`,
  customer: `SELECT i AS c_custkey, printf('Customer#%09d', i) AS c_name, 'street ' || i AS c_address,
    ((hash(i) % 25)::BIGINT)::INTEGER AS c_nationkey, printf('%d-%03d-555', 10 + (hash(i) % 25)::BIGINT, i) AS c_phone,
    ((hash(i * 3) % 1000000)::BIGINT / 100 - 999)::DECIMAL(15, 2) AS c_acctbal, ${pick(segments, "i * 7")} AS c_mktsegment, 'text' AS c_comment
    FROM range(1, 601) t(i)`,
  orders: `SELECT i AS o_orderkey, 1 + (hash(i) % 600)::BIGINT // 3 * 3 AS o_custkey,
    CASE WHEN i % 2 = 0 THEN 'F' ELSE 'O' END AS o_orderstatus, (1000 + (hash(i * 3) % 40000000)::BIGINT / 100)::DECIMAL(15, 2) AS o_totalprice,
    DATE '1992-01-01' + ((hash(i * 5) % 2400)::BIGINT)::INTEGER AS o_orderdate, ${pick(priorities, "i * 11")} AS o_orderpriority,
    printf('Clerk#%09d', i % 100) AS o_clerk, 0 AS o_shippriority,
    CASE WHEN i % 10 = 3 THEN 'the special blue requests' ELSE 'plain' END AS o_comment FROM range(1, 6001) t(i)`,
  lineitem: `SELECT o AS l_orderkey, 1 + (hash(o, n) % 2000)::BIGINT AS l_partkey,
    1 + ((1 + (hash(o, n) % 2000)::BIGINT) * 7 + (hash(n, o) % 4)::BIGINT * 25) % 100 AS l_suppkey, n::INTEGER AS l_linenumber,
    (CASE WHEN o % 500 = 1 THEN 50 ELSE 1 + (hash(o, n, 1) % 50)::BIGINT END)::DECIMAL(15, 2) AS l_quantity,
    (900 + (hash(o, n, 2) % 9000000)::BIGINT / 100)::DECIMAL(15, 2) AS l_extendedprice, ((hash(o, n, 3) % 11)::BIGINT / 100)::DECIMAL(15, 2) AS l_discount,
    ((hash(o, n, 4) % 9)::BIGINT / 100)::DECIMAL(15, 2) AS l_tax, ${pick("['A', 'N', 'R']", "o + n")} AS l_returnflag,
    ${pick("['F', 'O']", "o * 3 + n")} AS l_linestatus, shipped AS l_shipdate, shipped + ((hash(n, o, 6) % 40)::BIGINT)::INTEGER - 20 AS l_commitdate,
    shipped + (1 + (hash(n, o, 7) % 30)::BIGINT)::INTEGER AS l_receiptdate, ${pick(instructions, "o * 5 + n")} AS l_shipinstruct,
    ${pick(modes, "o * 7 + n")} AS l_shipmode, 'text' AS l_comment
    FROM (SELECT o, n, DATE '1992-01-01' + ((hash(o * 5) % 2400)::BIGINT + 1 + (hash(n, o, 5) % 120)::BIGINT)::INTEGER AS shipped
    FROM range(1, 6001) a(o), range(1, 8) b(n) WHERE n <= 1 + (hash(o * 17) % 7)::BIGINT OR o % 500 = 1)`,
};

export const tpchQueries: readonly string[] = [
  `SELECT l_returnflag, l_linestatus, sum(l_quantity) AS sum_qty, sum(l_extendedprice) AS sum_base_price,
    sum(l_extendedprice * (1 - l_discount)) AS sum_disc_price, sum(l_extendedprice * (1 - l_discount) * (1 + l_tax)) AS sum_charge,
    avg(l_quantity) AS avg_qty, avg(l_extendedprice) AS avg_price, avg(l_discount) AS avg_disc, count(*) AS count_order
    FROM lineitem WHERE l_shipdate <= CAST('1998-09-02' AS date)
    GROUP BY l_returnflag, l_linestatus ORDER BY l_returnflag, l_linestatus;`,
  `SELECT s_acctbal, s_name, n_name, p_partkey, p_mfgr, s_address, s_phone, s_comment
    FROM part, supplier, partsupp, nation, region
    WHERE p_partkey = ps_partkey AND s_suppkey = ps_suppkey AND p_size = 15 AND p_type LIKE '%BRASS' AND s_nationkey = n_nationkey
    AND n_regionkey = r_regionkey AND r_name = 'EUROPE' AND ps_supplycost = (
      SELECT min(ps_supplycost) FROM partsupp, supplier, nation, region WHERE p_partkey = ps_partkey AND s_suppkey = ps_suppkey
      AND s_nationkey = n_nationkey AND n_regionkey = r_regionkey AND r_name = 'EUROPE')
    ORDER BY s_acctbal DESC, n_name, s_name, p_partkey LIMIT 100;`,
  `SELECT l_orderkey, sum(l_extendedprice * (1 - l_discount)) AS revenue, o_orderdate, o_shippriority
    FROM customer, orders, lineitem WHERE c_mktsegment = 'BUILDING' AND c_custkey = o_custkey AND l_orderkey = o_orderkey
    AND o_orderdate < CAST('1995-03-15' AS date) AND l_shipdate > CAST('1995-03-15' AS date)
    GROUP BY l_orderkey, o_orderdate, o_shippriority ORDER BY revenue DESC, o_orderdate LIMIT 10;`,
  `SELECT o_orderpriority, count(*) AS order_count FROM orders
    WHERE o_orderdate >= CAST('1993-07-01' AS date) AND o_orderdate < CAST('1993-10-01' AS date)
    AND EXISTS (SELECT * FROM lineitem WHERE l_orderkey = o_orderkey AND l_commitdate < l_receiptdate)
    GROUP BY o_orderpriority ORDER BY o_orderpriority;`,
  `SELECT n_name, sum(l_extendedprice * (1 - l_discount)) AS revenue FROM customer, orders, lineitem, supplier, nation, region
    WHERE c_custkey = o_custkey AND l_orderkey = o_orderkey AND l_suppkey = s_suppkey AND c_nationkey = s_nationkey
    AND s_nationkey = n_nationkey AND n_regionkey = r_regionkey AND r_name = 'ASIA'
    AND o_orderdate >= CAST('1994-01-01' AS date) AND o_orderdate < CAST('1995-01-01' AS date)
    GROUP BY n_name ORDER BY revenue DESC;`,
  `SELECT sum(l_extendedprice * l_discount) AS revenue FROM lineitem
    WHERE l_shipdate >= CAST('1994-01-01' AS date) AND l_shipdate < CAST('1995-01-01' AS date)
    AND l_discount BETWEEN 0.05 AND 0.07 AND l_quantity < 24;`,
  `SELECT supp_nation, cust_nation, l_year, sum(volume) AS revenue FROM (
      SELECT n1.n_name AS supp_nation, n2.n_name AS cust_nation, extract(year FROM l_shipdate) AS l_year,
      l_extendedprice * (1 - l_discount) AS volume FROM supplier, lineitem, orders, customer, nation n1, nation n2
      WHERE s_suppkey = l_suppkey AND o_orderkey = l_orderkey AND c_custkey = o_custkey AND s_nationkey = n1.n_nationkey
      AND c_nationkey = n2.n_nationkey AND ((n1.n_name = 'FRANCE' AND n2.n_name = 'GERMANY') OR (n1.n_name = 'GERMANY' AND n2.n_name = 'FRANCE'))
      AND l_shipdate BETWEEN CAST('1995-01-01' AS date) AND CAST('1996-12-31' AS date)) AS shipping
    GROUP BY supp_nation, cust_nation, l_year ORDER BY supp_nation, cust_nation, l_year;`,
  `SELECT o_year, sum(CASE WHEN nation = 'BRAZIL' THEN volume ELSE 0 END) / sum(volume) AS mkt_share FROM (
      SELECT extract(year FROM o_orderdate) AS o_year, l_extendedprice * (1 - l_discount) AS volume, n2.n_name AS nation
      FROM part, supplier, lineitem, orders, customer, nation n1, nation n2, region
      WHERE p_partkey = l_partkey AND s_suppkey = l_suppkey AND l_orderkey = o_orderkey AND o_custkey = c_custkey
      AND c_nationkey = n1.n_nationkey AND n1.n_regionkey = r_regionkey AND r_name = 'AMERICA' AND s_nationkey = n2.n_nationkey
      AND o_orderdate BETWEEN CAST('1995-01-01' AS date) AND CAST('1996-12-31' AS date)
      AND p_type = 'ECONOMY ANODIZED STEEL') AS all_nations GROUP BY o_year ORDER BY o_year;`,
  `SELECT nation, o_year, sum(amount) AS sum_profit FROM (
      SELECT n_name AS nation, extract(year FROM o_orderdate) AS o_year,
      l_extendedprice * (1 - l_discount) - ps_supplycost * l_quantity AS amount
      FROM part, supplier, lineitem, partsupp, orders, nation
      WHERE s_suppkey = l_suppkey AND ps_suppkey = l_suppkey AND ps_partkey = l_partkey AND p_partkey = l_partkey
      AND o_orderkey = l_orderkey AND s_nationkey = n_nationkey AND p_name LIKE '%green%') AS profit
    GROUP BY nation, o_year ORDER BY nation, o_year DESC;`,
  `SELECT c_custkey, c_name, sum(l_extendedprice * (1 - l_discount)) AS revenue, c_acctbal, n_name, c_address, c_phone, c_comment
    FROM customer, orders, lineitem, nation WHERE c_custkey = o_custkey AND l_orderkey = o_orderkey
    AND o_orderdate >= CAST('1993-10-01' AS date) AND o_orderdate < CAST('1994-01-01' AS date)
    AND l_returnflag = 'R' AND c_nationkey = n_nationkey
    GROUP BY c_custkey, c_name, c_acctbal, c_phone, n_name, c_address, c_comment ORDER BY revenue DESC LIMIT 20;`,
  `SELECT ps_partkey, sum(ps_supplycost * ps_availqty) AS value FROM partsupp, supplier, nation
    WHERE ps_suppkey = s_suppkey AND s_nationkey = n_nationkey AND n_name = 'GERMANY' GROUP BY ps_partkey
    HAVING sum(ps_supplycost * ps_availqty) > (SELECT sum(ps_supplycost * ps_availqty) * 0.0001 FROM partsupp, supplier, nation
      WHERE ps_suppkey = s_suppkey AND s_nationkey = n_nationkey AND n_name = 'GERMANY') ORDER BY value DESC;`,
  `SELECT l_shipmode, sum(CASE WHEN o_orderpriority = '1-URGENT' OR o_orderpriority = '2-HIGH' THEN 1 ELSE 0 END) AS high_line_count,
    sum(CASE WHEN o_orderpriority <> '1-URGENT' AND o_orderpriority <> '2-HIGH' THEN 1 ELSE 0 END) AS low_line_count
    FROM orders, lineitem WHERE o_orderkey = l_orderkey AND l_shipmode IN ('MAIL', 'SHIP') AND l_commitdate < l_receiptdate
    AND l_shipdate < l_commitdate AND l_receiptdate >= CAST('1994-01-01' AS date) AND l_receiptdate < CAST('1995-01-01' AS date)
    GROUP BY l_shipmode ORDER BY l_shipmode;`,
  `SELECT c_count, count(*) AS custdist FROM (
      SELECT c_custkey, count(o_orderkey) FROM customer LEFT OUTER JOIN orders
      ON c_custkey = o_custkey AND o_comment NOT LIKE '%special%requests%' GROUP BY c_custkey) AS c_orders (c_custkey, c_count)
    GROUP BY c_count ORDER BY custdist DESC, c_count DESC;`,
  `SELECT 100.00 * sum(CASE WHEN p_type LIKE 'PROMO%' THEN l_extendedprice * (1 - l_discount) ELSE 0 END)
    / sum(l_extendedprice * (1 - l_discount)) AS promo_revenue FROM lineitem, part WHERE l_partkey = p_partkey
    AND l_shipdate >= date '1995-09-01' AND l_shipdate < CAST('1995-10-01' AS date);`,
  `WITH revenue AS (SELECT l_suppkey AS supplier_no, sum(l_extendedprice * (1 - l_discount)) AS total_revenue FROM lineitem
      WHERE l_shipdate >= CAST('1996-01-01' AS date) AND l_shipdate < CAST('1996-04-01' AS date) GROUP BY supplier_no)
    SELECT s_suppkey, s_name, s_address, s_phone, total_revenue FROM supplier, revenue WHERE s_suppkey = supplier_no
    AND total_revenue = (SELECT max(total_revenue) FROM revenue) ORDER BY s_suppkey;`,
  `SELECT p_brand, p_type, p_size, count(DISTINCT ps_suppkey) AS supplier_cnt FROM partsupp, part WHERE p_partkey = ps_partkey
    AND p_brand <> 'Brand#45' AND p_type NOT LIKE 'MEDIUM POLISHED%' AND p_size IN (49, 14, 23, 45, 19, 3, 36, 9)
    AND ps_suppkey NOT IN (SELECT s_suppkey FROM supplier WHERE s_comment LIKE '%Customer%Complaints%')
    GROUP BY p_brand, p_type, p_size ORDER BY supplier_cnt DESC, p_brand, p_type, p_size;`,
  `SELECT sum(l_extendedprice) / 7.0 AS avg_yearly FROM lineitem, part WHERE p_partkey = l_partkey AND p_brand = 'Brand#23'
    AND p_container = 'MED BOX' AND l_quantity < (SELECT 0.2 * avg(l_quantity) FROM lineitem WHERE l_partkey = p_partkey);`,
  `SELECT c_name, c_custkey, o_orderkey, o_orderdate, o_totalprice, sum(l_quantity) FROM customer, orders, lineitem
    WHERE o_orderkey IN (SELECT l_orderkey FROM lineitem GROUP BY l_orderkey HAVING sum(l_quantity) > 300)
    AND c_custkey = o_custkey AND o_orderkey = l_orderkey GROUP BY c_name, c_custkey, o_orderkey, o_orderdate, o_totalprice
    ORDER BY o_totalprice DESC, o_orderdate LIMIT 100;`,
  `SELECT sum(l_extendedprice * (1 - l_discount)) AS revenue FROM lineitem, part WHERE
    (p_partkey = l_partkey AND p_brand = 'Brand#12' AND p_container IN ('SM CASE', 'SM BOX', 'SM PACK', 'SM PKG') AND l_quantity >= 1
      AND l_quantity <= 1 + 10 AND p_size BETWEEN 1 AND 5 AND l_shipmode IN ('AIR', 'AIR REG') AND l_shipinstruct = 'DELIVER IN PERSON')
    OR (p_partkey = l_partkey AND p_brand = 'Brand#23' AND p_container IN ('MED BAG', 'MED BOX', 'MED PKG', 'MED PACK')
      AND l_quantity >= 10 AND l_quantity <= 10 + 10 AND p_size BETWEEN 1 AND 10 AND l_shipmode IN ('AIR', 'AIR REG')
      AND l_shipinstruct = 'DELIVER IN PERSON')
    OR (p_partkey = l_partkey AND p_brand = 'Brand#34' AND p_container IN ('LG CASE', 'LG BOX', 'LG PACK', 'LG PKG')
      AND l_quantity >= 20 AND l_quantity <= 20 + 10 AND p_size BETWEEN 1 AND 15 AND l_shipmode IN ('AIR', 'AIR REG')
      AND l_shipinstruct = 'DELIVER IN PERSON');`,
  `SELECT s_name, s_address FROM supplier, nation WHERE s_suppkey IN (
      SELECT ps_suppkey FROM partsupp WHERE ps_partkey IN (SELECT p_partkey FROM part WHERE p_name LIKE 'forest%')
      AND ps_availqty > (SELECT 0.5 * sum(l_quantity) FROM lineitem WHERE l_partkey = ps_partkey AND l_suppkey = ps_suppkey
        AND l_shipdate >= CAST('1994-01-01' AS date) AND l_shipdate < CAST('1995-01-01' AS date)))
    AND s_nationkey = n_nationkey AND n_name = 'CANADA' ORDER BY s_name;`,
  `SELECT s_name, count(*) AS numwait FROM supplier, lineitem l1, orders, nation WHERE s_suppkey = l1.l_suppkey
    AND o_orderkey = l1.l_orderkey AND o_orderstatus = 'F' AND l1.l_receiptdate > l1.l_commitdate
    AND EXISTS (SELECT * FROM lineitem l2 WHERE l2.l_orderkey = l1.l_orderkey AND l2.l_suppkey <> l1.l_suppkey)
    AND NOT EXISTS (SELECT * FROM lineitem l3 WHERE l3.l_orderkey = l1.l_orderkey AND l3.l_suppkey <> l1.l_suppkey
      AND l3.l_receiptdate > l3.l_commitdate)
    AND s_nationkey = n_nationkey AND n_name = 'SAUDI ARABIA' GROUP BY s_name ORDER BY numwait DESC, s_name LIMIT 100;`,
  `SELECT cntrycode, count(*) AS numcust, sum(c_acctbal) AS totacctbal FROM (
      SELECT substring(c_phone FROM 1 FOR 2) AS cntrycode, c_acctbal FROM customer
      WHERE substring(c_phone FROM 1 FOR 2) IN ('13', '31', '23', '29', '30', '18', '17')
      AND c_acctbal > (SELECT avg(c_acctbal) FROM customer WHERE c_acctbal > 0.00
        AND substring(c_phone FROM 1 FOR 2) IN ('13', '31', '23', '29', '30', '18', '17'))
      AND NOT EXISTS (SELECT * FROM orders WHERE o_custkey = c_custkey)) AS custsale
    GROUP BY cntrycode ORDER BY cntrycode;`,
];
