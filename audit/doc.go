// Package audit copies the verdicts topic into a database, each verdict exactly once: in Postgres, or in SQLite when everything is embedded.
//
// The position in the topic is kept in the database, and moves in the transaction that writes the rows. So a crash, a lost answer or a
// second process under the same name can repeat a read, never a row. Migrate and Maintain are run by the owner of the tables; the Writer
// needs no more than INSERT.
package audit
