output "topic_arn" {
  description = "Topic of all alarms, for further subscribers."
  value       = aws_sns_topic.alarms.arn
}

output "alarm_names" {
  description = "Names of all alarms."
  value       = sort(concat(values(aws_cloudwatch_metric_alarm.this)[*].alarm_name, [aws_cloudwatch_metric_alarm.worker_silence.alarm_name]))
}
