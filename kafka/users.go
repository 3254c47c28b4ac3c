package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// User is somebody whom the cluster knows by name, and what he may do there.
type User struct {
	Name     string
	Password Secret // for SCRAM-SHA-512; "": the user is known already, or proves who he is by a certificate
	Rights   []Right
}

// scramIterations is what Kafka's own tools take. The password itself is never sent.
const scramIterations = 8192

// MakeUsers gives users their passwords and lets them do what their rights say, from every host. What they may do besides, they still may: nothing is taken away.
func MakeUsers(ctx context.Context, cfg *Config, users []User) error {
	opts, err := cfg.Options()
	if err != nil {
		return err
	}
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	var made []kadm.UpsertSCRAM
	for _, u := range users {
		if u.Password != "" {
			made = append(made, kadm.UpsertSCRAM{User: u.Name, Mechanism: kadm.ScramSha512, Iterations: scramIterations, Password: u.Password.Reveal()})
		}
	}
	if len(made) > 0 {
		if !cfg.UsesTLS() { // what is sent instead of the password is as good as the password
			return errors.New("passwords would be sent in clear: set KAFKA_TLS_CA_FILE, or KAFKA_TLS=true")
		}
		found, err := adm.AlterUserSCRAMs(ctx, nil, made)
		if err != nil {
			return fmt.Errorf("give passwords to users: %w", explainAdministration(err))
		}
		for _, u := range found {
			if u.Err != nil {
				return fmt.Errorf("give user %s a password: %w", u.User, explainAdministration(u.Err))
			}
		}
	}
	for _, u := range users {
		for _, r := range u.Rights {
			if err := allow(ctx, adm, r.grant(u.Name)); err != nil {
				return fmt.Errorf("let user %s %s: %w", u.Name, r, err)
			}
		}
	}
	return nil
}

func allow(ctx context.Context, adm *kadm.Client, acls *kadm.ACLBuilder) error {
	granted, err := adm.CreateACLs(ctx, acls)
	for _, g := range granted {
		if err == nil {
			err = g.Err
		}
	}
	return explainAdministration(err)
}

// explainAdministration adds what to do about it.
func explainAdministration(err error) error {
	switch {
	case errors.Is(err, kerr.ClusterAuthorizationFailed):
		return fmt.Errorf("run this as a user who may Alter the cluster: %w", err)
	case errors.Is(err, kerr.SecurityDisabled):
		return fmt.Errorf("the brokers have no authorizer, so everybody may do everything: set authorizer.class.name there: %w", err)
	}
	return err
}

func (r Right) grant(user string) *kadm.ACLBuilder {
	b := kadm.NewACLs().Allow("User:" + user).AllowHosts().Operations(r.Operations...).ResourcePatternType(kadm.ACLPatternLiteral)
	if r.Prefixed {
		b.ResourcePatternType(kadm.ACLPatternPrefixed)
	}
	switch {
	case r.Topic != "":
		b.Topics(r.Topic)
	case r.Group != "":
		b.Groups(r.Group)
	default:
		b.TransactionalIDs(r.TransactionalID)
	}
	return b
}

// String says it as docs/operations.md does: "Read, Write topic verdicts".
func (r Right) String() string {
	var words string
	for i, o := range r.Operations {
		if i > 0 {
			words += ", "
		}
		words += operations[o]
	}
	return words + " " + r.name()
}

// name of the resource, with its kind.
func (r Right) name() string {
	name := "transactional id " + r.TransactionalID
	switch {
	case r.Topic != "":
		name = "topic " + r.Topic
	case r.Group != "":
		name = "group " + r.Group
	}
	if r.Prefixed {
		name += "*"
	}
	return name
}
