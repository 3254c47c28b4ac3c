package app

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mlmonitor/mlmonitor/audit"
	"github.com/mlmonitor/mlmonitor/consumer"
	"github.com/mlmonitor/mlmonitor/kafka"
)

// KafkaUser is a user of the cluster, and the roles that it is for.
type KafkaUser struct {
	User   string   `json:"user"`
	Roles  []string `json:"roles"`
	Rights []string `json:"rights"`
	made   kafka.User
}

// Users reads what the users of the arguments may do, each ROLE or ROLE=USER, and their passwords from kafka_USER_password in a directory; "": they have theirs already.
func Users(arguments []string, topics *kafka.Config, c *consumer.Config, passwords string) (users []KafkaUser, err error) {
	var a audit.Config
	if err := fill([]section{&a}); err != nil {
		return nil, err
	}
	if err := a.ValidateGroup(); err != nil { // to the brokers a star is every group; the rest is of the database, which is not asked
		return nil, err
	}
	for _, argument := range arguments {
		role, name, renamed := strings.Cut(argument, "=")
		if !renamed {
			name = role
		}
		if name == "" || strings.ContainsAny(name, "*/=, \t\n") {
			return nil, fmt.Errorf("%q names no user: say ROLE or ROLE=USER, without blanks, commas, slashes and stars", argument)
		}
		rights, err := kafka.Access(role, name, topics, c.Group, a.Group)
		if err != nil {
			return nil, err
		}
		at := slices.IndexFunc(users, func(u KafkaUser) bool { return u.User == name })
		if at < 0 {
			u := KafkaUser{User: name, made: kafka.User{Name: name}}
			if passwords != "" {
				if u.made.Password, err = password(filepath.Join(passwords, "kafka_"+name+"_password")); err != nil {
					return nil, err
				}
			}
			at, users = len(users), append(users, u)
		}
		u := &users[at]
		if slices.Contains(u.Roles, role) {
			continue
		}
		u.Roles = append(u.Roles, role)
		u.made.Rights = append(u.made.Rights, rights...)
		for _, r := range rights {
			u.Rights = append(u.Rights, r.String())
		}
	}
	return users, nil
}

func password(file string) (kafka.Secret, error) {
	data, err := readSecret(file)
	if err != nil {
		return "", err
	}
	text := strings.TrimRight(string(data), "\r\n")
	if text == "" {
		return "", fmt.Errorf("%s is empty", file)
	}
	return kafka.Secret(text), nil
}

// Grants are the users as the cluster is to know them.
func Grants(users []KafkaUser) (grants []kafka.User) {
	for _, u := range users {
		grants = append(grants, u.made)
	}
	return grants
}
