-- Seattle's weather, month by month: rain in mm, temperatures in °C.
SELECT
  strftime(date_trunc('month', date), '%Y-%m') AS month,
  round(sum(precipitation), 1) AS precipitation,
  max(temp_max) AS hottest,
  min(temp_min) AS coldest
FROM weather
GROUP BY ALL
ORDER BY month
