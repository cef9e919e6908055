"""Whatever touches Kafka, a clock, a disk or the network. Importing this package costs nothing."""
