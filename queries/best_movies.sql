-- The best films of a genre, by their rating on IMDB, of those with at least 10,000 votes.
-- @param genre text The genre, such as Drama or Comedy
SELECT Title AS title, Director AS director, "IMDB Rating" AS rating, "IMDB Votes" AS votes
FROM movies
WHERE "Major Genre" = $genre AND "IMDB Votes" >= 10000
ORDER BY rating DESC, votes DESC
LIMIT 10
