// Package rig gives tests real servers: Apache Kafka and PostgreSQL, started by the scripts in test/stack on free ports of loopback.
//
// Kafka and Postgres give servers that many tests share: those that MLMONITOR_TEST_KAFKA_DIR and MLMONITOR_TEST_POSTGRES_DIR name (`make test` starts one
// of each for all packages), else one of each per test program. Nobody may end those. Tests stay apart by names: Unique for topics, groups
// and transactional ids, Server.Database for a database.
//
// PrivateKafka and PrivatePostgres start servers for one test, which may kill, freeze and restart them.
//
// Kafka runs on a Java that starts fast and peaks low; who measures throughput sets KAFKA_JVM=-Xmx1g (see test/stack/kafka.sh).
//
// A server that does not start fails the test: nothing is skipped for want of a server. Only `go test -short` skips, and says so. All
// servers end with the test, or with the test program however it ends: a watch in the background looks after that.
package rig
