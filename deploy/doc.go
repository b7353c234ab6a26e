// Package deploy holds what Binkeeper runs with in production:
//
//	prometheus   alerting rules, and their tests
//	grafana      a dashboard
//	systemd      units for the worker and the monitor
//
// It has no code. Its tests hold these files to what they speak of: every metric
// to docs/metrics.md, which the programs' own tests hold to what they serve, and
// every alert to docs/alerts.md.
package deploy
