-- Which animals cost airlines most: reported strikes and their cost in US dollars, by species.
-- @param limit integer = "10" How many species
SELECT
  "Wildlife Species" AS species,
  count(*) AS strikes,
  sum("Cost Total $") AS cost
FROM birdstrikes
GROUP BY ALL
ORDER BY cost DESC, species
LIMIT $limit
