locals {
  more_than = "GreaterThanThreshold"
  less_than = "LessThanThreshold"
  gib       = 1024 * 1024 * 1024

  dead_letters = merge(
    { for key, name in var.queue_names.dead_letters : "dead-${key}" => name },
    { undelivered-events = var.undelivered_queue_name },
  )

  alarms = merge(
    { for key, queue in local.dead_letters : key => {
      description = "Messages ended in ${queue}. Dead requests: the admin's list and the Lambda's log; else the worker's log and the queue's policy."
      namespace   = "AWS/SQS", metric = "ApproximateNumberOfMessagesVisible", dimensions = { QueueName = queue }
      statistic   = "Maximum", period = 300, periods = 1, comparison = local.more_than, threshold = 0
    } },
    { for key, queue in var.queue_names.queues : "age-of-${key}" => {
      description = "The oldest message of ${queue} has waited for more than ten minutes. Look at who reads it: the Lambda for requests, the worker for job events."
      namespace   = "AWS/SQS", metric = "ApproximateAgeOfOldestMessage", dimensions = { QueueName = queue }
      statistic   = "Maximum", period = 300, periods = 1, comparison = local.more_than, threshold = 600
    } },
    {
      submitter-errors = {
        description = "The Lambda failed as a whole. Look at its log: its environment or its package is faulty."
        namespace   = "AWS/Lambda", metric = "Errors", dimensions = { FunctionName = var.function_name }
        statistic   = "Sum", period = 300, periods = 1, comparison = local.more_than, threshold = 0
      }
      failed-analyses = {
        description = "More than ${var.failed_analyses_per_hour} analyses failed within an hour by no fault of their videos. Look at these lines' code in the worker's log, then at the job's log and the log group of failed jobs."
        namespace   = var.name, metric = local.said.failed-analyses.metric, dimensions = {}
        statistic   = "Sum", period = 3600, periods = 1, comparison = local.more_than, threshold = var.failed_analyses_per_hour
      }
      unsent-long = {
        description = "For a quarter of an hour there have been requests that have waited in the outbox for more than five minutes: SQS refuses them, or the worker does not reach it. Look at the worker's log for their reason."
        namespace   = var.name, metric = local.said.unsent-long.metric, dimensions = {}
        statistic   = "Sum", period = 300, periods = 3, comparison = local.more_than, threshold = 0
      }
      given-up = {
        description = "The worker has given up calls to AWS that it owes: jobs that go on, objects and rows that stay. The admin's owed calls show the cause; once it is gone, have them made again there, or by retry_owed_calls."
        namespace   = var.name, metric = local.said.given-up.metric, dimensions = {}
        statistic   = "Sum", period = 300, periods = 1, comparison = local.more_than, threshold = 0
      }
      out-of-memory = {
        description = "Analyses ran out of memory, of the GPU or of the machine. Look at the jobs' log for code out_of_memory and both numbers, and at the log group of failed jobs for OutOfMemoryError, where the container was killed: memory_mib is too small."
        namespace   = var.name, metric = local.said.out-of-memory.metric, dimensions = {}
        statistic   = "Sum", period = 3600, periods = 1, comparison = local.more_than, threshold = 0
      }
      waiting-long = {
        description = "For a quarter of an hour there have been jobs that have waited for a machine for more than 30 minutes. Look at waiting_reason of one of them: no machine comes (a quota, no capacity), or others go first (spot_max_vcpus)."
        namespace   = var.name, metric = local.said.waiting-long.metric, dimensions = {}
        statistic   = "Sum", period = 300, periods = 3, comparison = local.more_than, threshold = 0
      }
      api-5xx = {
        description = "The API answered more than ten requests in five minutes with a server error. Look at its log."
        namespace   = "AWS/ApplicationELB", metric = "HTTPCode_Target_5XX_Count", dimensions = { LoadBalancer = var.load_balancer_suffix }
        statistic   = "Sum", period = 300, periods = 1, comparison = local.more_than, threshold = 10
      }
      load-balancer-5xx = {
        description = "The load balancer found no healthy API for more than ten requests in five minutes. Look at the API's service in ECS."
        namespace   = "AWS/ApplicationELB", metric = "HTTPCode_ELB_5XX_Count", dimensions = { LoadBalancer = var.load_balancer_suffix }
        statistic   = "Sum", period = 300, periods = 1, comparison = local.more_than, threshold = 10
      }
      database-storage = {
        description = "Less than 5 % of the database's storage is free, though it grows at 10 %. Raise max_storage_gib; what it has grown to counts from the next apply on."
        namespace   = "AWS/RDS", metric = "FreeStorageSpace", dimensions = { DBInstanceIdentifier = var.database_identifier }
        statistic   = "Minimum", period = 300, periods = 3, comparison = local.less_than, threshold = var.database_storage_gib * local.gib / 20
      }
      database-connections = {
        description = "More than ${var.database_connections} connections to the database. Each API task may hold 25, each worker 20, each job two."
        namespace   = "AWS/RDS", metric = "DatabaseConnections", dimensions = { DBInstanceIdentifier = var.database_identifier }
        statistic   = "Maximum", period = 300, periods = 2, comparison = local.more_than, threshold = var.database_connections
      }
    },
  )
}
