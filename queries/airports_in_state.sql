-- The airports of one state of the USA, from north to south.
-- @param state text = "WA" The state's two letters
SELECT iata, name, city, latitude, longitude
FROM airports
WHERE state = $state
ORDER BY latitude DESC
