pytest_plugins = ["tests.fix_postgres", "tests.fix_aws", "tests.fix_real"]
