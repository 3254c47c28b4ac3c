package api

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// proxies are whose word on where a request comes from is believed.
type proxies []netip.Prefix

func parseProxies(texts []string) (all proxies, err error) {
	for _, text := range texts {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			one, err := netip.ParseAddr(text)
			if err != nil {
				return nil, fmt.Errorf("API_TRUSTED_PROXIES: %q is no address and no network such as 10.0.0.0/8", text)
			}
			p = netip.PrefixFrom(one, one.BitLen())
		}
		all = append(all, p)
	}
	return all, nil
}

func (p proxies) trust(a netip.Addr) bool {
	for _, one := range p {
		if one.Contains(a) {
			return true
		}
	}
	return false
}

// client is the address that a request comes from: the connection's, or, where that is a proxy that is believed, the last in X-Forwarded-For that is none.
func (p proxies) client(r *http.Request) string {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	at := peer.Addr().Unmap()
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && p.trust(at); i-- {
		before, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break // nobody knows
		}
		at = before.Unmap()
	}
	return at.String()
}
