// An ACME client on golang.org/x/crypto/acme: registers, issues by each challenge, revokes by account and by key, changes
// its key, gives its account up. Variables: DIRECTORY ROOTS STATE WEBROOT TLS_ADDRESS NAME OTHER, DNS_ADD (a program that
// adds a record), KID HMAC of an external account. Arguments: what to do, in their order.
package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"log"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/crypto/acme"
)

var (
	client *acme.Client
	key    *ecdsa.PrivateKey
	chain  [][]byte
)

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func newKey() *ecdsa.PrivateKey {
	made, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	return made
}

func register(ctx context.Context) {
	account := &acme.Account{Contact: []string{"mailto:ops@site.test"}}
	if kid := os.Getenv("KID"); kid != "" {
		secret, err := base64.RawURLEncoding.DecodeString(os.Getenv("HMAC"))
		check(err)
		account.ExternalAccountBinding = &acme.ExternalAccountBinding{KID: kid, Key: secret}
	}
	_, err := client.Register(ctx, account, acme.AcceptTOS)
	check(err)
}

func answer(challenge *acme.Challenge, name string) {
	switch challenge.Type {
	case "http-01":
		proof, err := client.HTTP01ChallengeResponse(challenge.Token)
		check(err)
		file := filepath.Join(os.Getenv("WEBROOT"), client.HTTP01ChallengePath(challenge.Token))
		check(os.MkdirAll(filepath.Dir(file), 0o755))
		check(os.WriteFile(file, []byte(proof), 0o644))
	case "dns-01":
		proof, err := client.DNS01ChallengeRecord(challenge.Token)
		check(err)
		check(exec.Command(os.Getenv("DNS_ADD"), "_acme-challenge."+name, "TXT", proof).Run())
	case "tls-alpn-01":
		proof, err := client.TLSALPN01ChallengeCert(challenge.Token, name)
		check(err)
		config := &tls.Config{Certificates: []tls.Certificate{proof}, NextProtos: []string{acme.ALPNProto}}
		listener, err := tls.Listen("tcp", os.Getenv("TLS_ADDRESS"), config)
		check(err)
		go func() {
			for {
				connection, err := listener.Accept()
				check(err)
				go connection.(*tls.Conn).Handshake()
			}
		}()
	}
}

func issue(ctx context.Context, kind string) {
	names := []string{os.Getenv("NAME")}
	if other := os.Getenv("OTHER"); other != "" {
		names = append(names, other)
	}
	order, err := client.AuthorizeOrder(ctx, acme.DomainIDs(names...))
	check(err)
	for _, url := range order.AuthzURLs {
		authorization, err := client.GetAuthorization(ctx, url)
		check(err)
		for _, challenge := range authorization.Challenges {
			if challenge.Type == kind && authorization.Status == acme.StatusPending {
				answer(challenge, authorization.Identifier.Value)
				_, err = client.Accept(ctx, challenge)
				check(err)
			}
		}
		_, err = client.WaitAuthorization(ctx, url)
		check(err)
	}
	order, err = client.WaitOrder(ctx, order.URI)
	check(err)
	key = newKey()
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{}, DNSNames: names}, key)
	check(err)
	chain, _, err = client.CreateOrderCert(ctx, order.FinalizeURL, request, true)
	check(err)
	var text []byte
	for _, der := range chain {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	check(os.WriteFile(filepath.Join(os.Getenv("STATE"), "chain.pem"), text, 0o644))
	private, err := x509.MarshalECPrivateKey(key)
	check(err)
	block := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private})
	check(os.WriteFile(filepath.Join(os.Getenv("STATE"), "key.pem"), block, 0o600))
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	pool := x509.NewCertPool()
	roots, err := os.ReadFile(os.Getenv("ROOTS"))
	check(err)
	pool.AppendCertsFromPEM(roots)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	client = &acme.Client{Key: newKey(), DirectoryURL: os.Getenv("DIRECTORY"), HTTPClient: &http.Client{Transport: transport}}
	for _, step := range os.Args[1:] {
		switch step {
		case "register":
			register(ctx)
		case "change-key":
			check(client.AccountKeyRollover(ctx, newKey()))
		case "revoke":
			check(client.RevokeCert(ctx, nil, chain[0], acme.CRLReasonSuperseded))
		case "revoke-by-key":
			var signer crypto.Signer = key
			check(client.RevokeCert(ctx, signer, chain[0], acme.CRLReasonKeyCompromise))
		case "deactivate":
			check(client.DeactivateReg(ctx))
		default:
			issue(ctx, step)
		}
	}
}
