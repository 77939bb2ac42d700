"""Who is told what happens in runs: functions, files of JSON lines, OpenTelemetry."""
