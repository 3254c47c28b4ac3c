// Package replay scores what really happened again: a range of the transactions topic, or files of it, under a bundle; beside the verdicts that were given, or another bundle; against labels that came
// late. It uses the scorer, the contract and the policy that live scoring uses, and changes nothing but what it is told to write.
package replay
