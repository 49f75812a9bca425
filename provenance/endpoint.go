package provenance

import (
	"regexp"
	"strings"
)

var version = regexp.MustCompile(`^v?[0-9]{1,2}(\.[0-9]{1,2})*$`)

// EndpointFamily is an endpoint without what names single things: the path of a
// URL, without its query, in which every segment that holds an id is ":id".
// A segment holds an id when it is a number, has at least 8 characters with a
// digit in them and no more than letters, digits, "-", "_" and "=" otherwise, or
// begins with "@". A version at the front (1.1, v2, 2) stays. What is no path is
// given back as it is, trimmed.
func EndpointFamily(s string) string {
	s = strings.TrimSpace(s)
	method := ""
	if m, rest, ok := strings.Cut(s, " "); ok && m == strings.ToUpper(m) && strings.HasPrefix(rest, "/") {
		method, s = m+" ", rest
	}
	if i := strings.Index(s, "://"); i >= 0 {
		rest := s[i+3:]
		if j := strings.IndexByte(rest, '/'); j >= 0 {
			s = rest[j:]
		} else {
			s = "/"
		}
	}
	if !strings.HasPrefix(s, "/") {
		return s
	}
	if i := strings.IndexAny(s, "?#"); i >= 0 {
		s = s[:i]
	}
	parts := strings.Split(s, "/")
	for i, p := range parts {
		if i == 1 && version.MatchString(p) {
			continue
		}
		tail := ""
		if j := strings.LastIndexByte(p, '.'); j > 0 && (p[j:] == ".json" || p[j:] == ".xml") {
			p, tail = p[:j], p[j:]
		}
		if holdsID(p) {
			parts[i] = ":id" + tail
		}
	}
	return method + strings.TrimSuffix(strings.Join(parts, "/"), "/")
}

func holdsID(s string) bool {
	if strings.HasPrefix(s, "@") && len(s) > 1 {
		return true
	}
	digits, others := 0, 0
	for _, c := range s {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '-', c == '_', c == '=':
			others++
		default:
			return c == '%' && digits > 0
		}
	}
	return digits > 0 && (others == 0 || len(s) >= 8)
}
