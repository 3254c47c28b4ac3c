package kafka

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"time"
)

// renewAhead is how long before its end a certificate is warned of.
const renewAhead = 21 * 24 * time.Hour

// ExamineCertificate checks the PEM file that a variable names: of a certificate, when keyFile is that of its key, or of authorities, which have none.
func ExamineCertificate(now time.Time, variable, file, keyFile string) Finding {
	check := "certificate " + variable
	all, err := readCertificates(file)
	if err != nil {
		return Failed(check, err.Error(), "name a PEM file with a certificate in "+variable)
	}
	if keyFile != "" {
		if _, err := tls.LoadX509KeyPair(file, keyFile); err != nil {
			return Failed(check, fmt.Sprintf("%s and %s: %v", file, keyFile, err), "name the key that the certificate was made for")
		}
	}
	return JudgeCertificates(check, now, all, keyFile == "")
}

func readCertificates(file string) (all []*x509.Certificate, err error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return nil, errors.New(file + " holds no PEM certificate")
	}
	return all, nil
}

// JudgeCertificates says whether certificates are in force, and how long: a chain ends with the first of its certificates that does, a list of authorities with the last.
func JudgeCertificates(check string, now time.Time, all []*x509.Certificate, authorities bool) Finding {
	first, last := all[0], all[0]
	for _, c := range all {
		if now.Before(c.NotBefore) && !authorities {
			return Failed(check, fmt.Sprintf("%s is not valid before %s", c.Subject, c.NotBefore.UTC().Format(time.RFC3339)), "wait, or set this machine's clock")
		}
		if c.NotAfter.Before(first.NotAfter) {
			first = c
		}
		if c.NotAfter.After(last.NotAfter) {
			last = c
		}
	}
	end := first
	if authorities {
		end = last
	}
	switch {
	case !now.Before(end.NotAfter):
		return Failed(check, fmt.Sprintf("%s has expired on %s", end.Subject, end.NotAfter.UTC().Format(time.RFC3339)), "renew it, and put the new one in its place")
	case !now.Before(first.NotAfter):
		return Warned(check, fmt.Sprintf("%s, one of %d, has expired on %s", first.Subject, len(all), first.NotAfter.UTC().Format(time.RFC3339)), "take it out of the file")
	case first.NotAfter.Sub(now) < renewAhead:
		return Warned(check, fmt.Sprintf("%s ends on %s, in %d days", first.Subject, first.NotAfter.UTC().Format(time.RFC3339), first.NotAfter.Sub(now)/(24*time.Hour)), "renew it before")
	}
	return Good(check, fmt.Sprintf("valid until %s", first.NotAfter.UTC().Format(time.RFC3339)))
}
