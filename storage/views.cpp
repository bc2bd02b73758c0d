// The views for analysts: readable times, standard deviations, and hours merged from minutes
// without losing digits.
#include "storage/schema.h"

namespace millwright::storage {

// The hour's squared distances are taken from the hour's own mean, which is why the mean is
// computed first (the inner SELECT): sum(m2 + n * mean^2) - n * gm^2 in one pass subtracts two
// numbers that agree in all their digits.
const char* archive_views() {
  return R"sql(
CREATE VIEW minute AS
SELECT s.t,
       s.t / 1000000 AS time,
       strftime('%Y-%m-%dT%H:%M:%SZ', s.t / 1000000, 'unixepoch') AS time_text,
       sensor.machine, sensor.sensor, sensor.unit,
       s.n, s.mean,
       CASE WHEN s.n > 1 THEN sqrt(s.m2 / (s.n - 1)) END AS stddev,
       s.min, s.max, s.first, s.last, s.quality
FROM summary_minute AS s JOIN sensor ON sensor.id = s.sensor_id;

CREATE VIEW hour AS
SELECT h.t,
       h.t / 1000000 AS time,
       strftime('%Y-%m-%dT%H:%M:%SZ', h.t / 1000000, 'unixepoch') AS time_text,
       sensor.machine, sensor.sensor, sensor.unit,
       h.n, h.mean,
       CASE WHEN h.n > 1 THEN sqrt(h.m2 / (h.n - 1)) END AS stddev,
       h.min, h.max, h.first, h.last, h.quality
FROM (
  SELECT t, sensor_id, sum(n) AS n, gm AS mean,
         sum(m2 + n * (mean - gm) * (mean - gm)) AS m2,
         min(min) AS min, max(max) AS max, first_value AS first, last_value AS last,
         max(quality & 1) | max(quality & 2) | max(quality & 4) | max(quality & 8) |
         max(quality & 16) | max(quality & 32) AS quality
  FROM (
    SELECT hour_start AS t, sensor_id, n, mean, m2, min, max, quality,
           sum(n * mean) OVER whole / sum(n) OVER whole AS gm,
           first_value(first) OVER whole AS first_value,
           last_value(last) OVER whole AS last_value
    FROM (SELECT t - t % 3600000000 AS hour_start, * FROM summary_minute)
    WINDOW whole AS (PARTITION BY hour_start, sensor_id ORDER BY t
                     ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
  )
  GROUP BY t, sensor_id
) AS h JOIN sensor ON sensor.id = h.sensor_id;

CREATE VIEW alert_history AS
SELECT e.time / 1e6 AS time,
       strftime('%Y-%m-%dT%H:%M:%fZ', e.time / 1e6, 'unixepoch') AS time_text,
       e.id, e.revision, e.event, e.state, e.severity, e.priority,
       a.class, a.kind, a.machine, a.sensor, a.unit,
       strftime('%Y-%m-%dT%H:%M:%fZ', a.onset / 1e6, 'unixepoch') AS onset_text,
       strftime('%Y-%m-%dT%H:%M:%fZ', a.cleared / 1e6, 'unixepoch') AS cleared_text,
       e.value, e.expected, e.low, e.high, e.score, e.message
FROM alert_event AS e JOIN alert AS a ON a.id = e.id;

CREATE VIEW baseline_history AS
SELECT b.until / 1e6 AS time,
       strftime('%Y-%m-%dT%H:%M:%fZ', b.until / 1e6, 'unixepoch') AS time_text,
       b.machine, b.sensor, b.detector, b.version, b.reason,
       strftime('%Y-%m-%dT%H:%M:%fZ', b.since / 1e6, 'unixepoch') AS since_text,
       b.learned, b.confidence, b.detector_version, b.config, length(b.state) AS state_bytes
FROM baseline AS b;

CREATE VIEW health_history AS
SELECT h.t / 1e6 AS time,
       strftime('%Y-%m-%dT%H:%M:%fZ', h.t / 1e6, 'unixepoch') AS time_text,
       h.machine, h.health, h.trend_per_day,
       strftime('%Y-%m-%dT%H:%M:%fZ', h.reaches_limit / 1e6, 'unixepoch') AS reaches_limit_text,
       strftime('%Y-%m-%dT%H:%M:%fZ', h.earliest / 1e6, 'unixepoch') AS earliest_text,
       strftime('%Y-%m-%dT%H:%M:%fZ', h.latest / 1e6, 'unixepoch') AS latest_text,
       h.confidence, h.baseline
FROM health AS h;

CREATE VIEW operation_history AS
SELECT o.time / 1e6 AS time,
       strftime('%Y-%m-%dT%H:%M:%fZ', o.time / 1e6, 'unixepoch') AS time_text,
       o.command, o.by, o.comment, o.machine, o.sensor, o.alert,
       strftime('%Y-%m-%dT%H:%M:%fZ', o."from" / 1e6, 'unixepoch') AS from_text,
       strftime('%Y-%m-%dT%H:%M:%fZ', o."to" / 1e6, 'unixepoch') AS to_text,
       o.ok, o.text
FROM operation AS o;

CREATE VIEW service_history AS
SELECT s.time / 1e6 AS time,
       strftime('%Y-%m-%dT%H:%M:%fZ', s.time / 1e6, 'unixepoch') AS time_text,
       s.machine,
       strftime('%Y-%m-%dT%H:%M:%fZ', s.serviced / 1e6, 'unixepoch') AS serviced_text,
       s.helped, s.message
FROM service AS s;
)sql";
}

}  // namespace millwright::storage
