package source

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"io"
	"net"

	"github.com/go-mysql-org/go-mysql/mysql"
)

// authentication shows a server that we know the password of an account, before
// anything is asked of it. The client library would give the password to any server;
// here it leaves the process in three forms, and in no other, which is the
// rule of MySQL's own clients:
//
//   - as the answer to a challenge, which does not tell it;
//   - whole, inside TLS;
//   - whole, encrypted with a key that the server has sent and that is not verified,
//     where the source's URL says get-server-public-key=true.
//
// A plugin that takes the password as it is, for any server, is refused.
type authentication struct {
	target   Target
	password string
	conn     net.Conn // from startTLS on inside TLS
	inTLS    bool
	told     bool // the server has got the password whole, inside TLS
	sequence byte // of the next packet

	capabilities uint32 // that both sides have
	plugin       string
	salt         []byte
}

// wanted is what we ask a server for, of what it has: see commands. LONG_PASSWORD is said to
// any server, as all clients do.
const wanted = needed | mysql.CLIENT_LONG_FLAG | mysql.CLIENT_TRANSACTIONS | mysql.CLIENT_CONNECT_ATTRS |
	mysql.CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA

func newAuthentication(conn net.Conn, target Target, password string, g greeting) *authentication {
	return &authentication{
		target: target, password: password, conn: conn, sequence: 1,
		capabilities: wanted&g.capabilities | mysql.CLIENT_LONG_PASSWORD, plugin: g.plugin, salt: g.salt,
	}
}

// What a packet of the server begins with here.
const (
	switchPacket = mysql.EOF_HEADER       // use another plugin
	morePacket   = mysql.MORE_DATE_HEADER // what the plugin says
)

// What a plugin of the server says, and a client asks for.
const (
	fastAuthDone  = 3
	fullAuth      = 4
	requestSHA256 = 1 // the server's public key, of sha256_password
	requestSHA2   = 2 // of caching_sha2_password
)

// startTLS puts the connection inside TLS.
func (a *authentication) startTLS(ctx context.Context, config *tls.Config) error {
	a.capabilities |= mysql.CLIENT_SSL
	if err := a.write(a.opening()); err != nil {
		return err
	}
	inside := tls.Client(a.conn, config)
	if err := inside.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("start TLS: %w", err)
	}
	a.conn, a.inTLS = inside, true
	return nil
}

// run authenticates. What the server refuses is a *mysql.MyError, what it asks for
// and does not get an *UnfitError.
func (a *authentication) run() error {
	answer, err := a.answer()
	if err != nil {
		return err
	}
	packet, err := a.exchange(a.response(answer))
	if err == nil && packet[0] == switchPacket {
		packet, err = a.switchPlugin(packet[1:])
	}
	if err == nil && packet[0] == morePacket {
		packet, err = a.goOn(packet[1:])
	}
	if err == nil && packet[0] != mysql.OK_HEADER {
		err = malformed(packet)
	}
	return err
}

// opening is what a client begins with: 4 bytes of capabilities, 4 of the largest
// packet, 1 of character set (utf8mb4), 23 zeros.
func (a *authentication) opening() []byte {
	const maxAllowedPacket, utf8mb4 = 1 << 30, 45
	body := binary.LittleEndian.AppendUint32(nil, a.capabilities)
	body = binary.LittleEndian.AppendUint32(body, maxAllowedPacket)
	return append(append(body, utf8mb4), make([]byte, 23)...)
}

// response answers the greeting.
func (a *authentication) response(answer []byte) []byte {
	body := append(append(a.opening(), a.target.User...), 0)
	body = append(body, mysql.PutLengthEncodedString(answer)...)
	body = append(append(body, a.plugin...), 0)
	if a.capabilities&mysql.CLIENT_CONNECT_ATTRS != 0 {
		attributes := append(mysql.PutLengthEncodedString([]byte("program_name")), mysql.PutLengthEncodedString([]byte("binkeeper"))...)
		body = append(body, mysql.PutLengthEncodedString(attributes)...)
	}
	return body
}

// answer is what the plugin answers to the salt.
func (a *authentication) answer() ([]byte, error) {
	switch a.plugin {
	case mysql.AUTH_NATIVE_PASSWORD, mysql.AUTH_CACHING_SHA2_PASSWORD, mysql.AUTH_SHA256_PASSWORD, mysql.AUTH_MARIADB_ED25519:
	default:
		return nil, a.refused()
	}
	salt, password := a.salt, []byte(a.password)
	if len(salt) < saltSize {
		return nil, &notMySQLError{fmt.Sprintf("malformed handshake: a salt of %d bytes", len(salt))}
	}
	switch {
	case a.plugin == mysql.AUTH_NATIVE_PASSWORD:
		return mysql.CalcNativePassword(salt[:saltSize], password), nil
	case a.plugin == mysql.AUTH_CACHING_SHA2_PASSWORD:
		return mysql.CalcCachingSha2Password(salt[:saltSize], password), nil
	case a.plugin == mysql.AUTH_MARIADB_ED25519: // whose salt has 32 bytes, without a zero behind them
		return mysql.CalcEd25519Password(salt, a.password)
	case a.inTLS:
		return a.whole(), nil
	}
	return []byte{requestSHA256}, a.mayUseKey()
}

// refused is the error for a plugin that is not for us.
func (a *authentication) refused() error {
	problem := fmt.Sprintf("it wants authentication by %q, which is not supported", a.plugin)
	if a.plugin == mysql.AUTH_CLEAR_PASSWORD {
		problem = fmt.Sprintf("it asks for the password in clear text (%s), which is never sent", a.plugin)
	}
	return &UnfitError{Address: a.target.Address(), Problem: problem,
		Advice: "give the account a password by caching_sha2_password or, on MariaDB, by ed25519 or mysql_native_password; " +
			"if it has one, somebody else answers at the address"}
}

// whole is the password as it is, for a connection inside TLS.
func (a *authentication) whole() []byte {
	a.told = true
	return append([]byte(a.password), 0)
}

// mayUseKey returns an error unless the URL allows the password to be encrypted
// with whatever key the server sends.
func (a *authentication) mayUseKey() error {
	if a.target.GetServerPublicKey {
		return nil
	}
	return &UnfitError{Address: a.target.Address(), Problem: "it asks for the whole password over a connection without TLS",
		Advice: "protect the connection: best with ssl-mode=VERIFY_CA and ssl-ca in the source's URL; " +
			"or, where nobody can stand between, add get-server-public-key=true to it. " +
			"A server asks so after its start, after a change of the password, and when the password is wrong"}
}

// switchPlugin answers a server that wants another plugin: its name, a zero, a salt.
// A server that wants the oldest one says nothing more.
func (a *authentication) switchPlugin(request []byte) ([]byte, error) {
	plugin, salt, _ := bytes.Cut(request, []byte{0})
	a.plugin, a.salt = string(plugin), salt
	if len(request) == 0 {
		a.plugin, a.salt = mysql.AUTH_MYSQL_OLD_PASSWORD, make([]byte, saltSize)
	}
	answer, err := a.answer()
	if err != nil {
		return nil, err
	}
	return a.exchange(answer)
}

// goOn does what a plugin does besides its one answer.
func (a *authentication) goOn(says []byte) ([]byte, error) {
	switch {
	case a.plugin == mysql.AUTH_CACHING_SHA2_PASSWORD && bytes.Equal(says, []byte{fastAuthDone}):
		return a.read()
	case a.plugin == mysql.AUTH_CACHING_SHA2_PASSWORD && bytes.Equal(says, []byte{fullAuth}):
		if a.inTLS {
			return a.exchange(a.whole())
		}
		if err := a.mayUseKey(); err != nil {
			return nil, err
		}
		packet, err := a.exchange([]byte{requestSHA2})
		if err != nil {
			return nil, err
		}
		return a.encrypted(packet)
	case a.plugin == mysql.AUTH_SHA256_PASSWORD && !a.inTLS: // which answer has allowed
		return a.encrypted(append([]byte{morePacket}, says...))
	}
	return nil, malformed(append([]byte{morePacket}, says...))
}

// encrypted sends the password, encrypted with the key in the packet.
func (a *authentication) encrypted(packet []byte) ([]byte, error) {
	block, _ := pem.Decode(packet[1:])
	if packet[0] != morePacket || block == nil {
		return nil, malformed(packet)
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, &notMySQLError{fmt.Sprintf("malformed handshake: its key: %v", err)}
	}
	public, ok := key.(*rsa.PublicKey)
	if !ok {
		return nil, &notMySQLError{fmt.Sprintf("malformed handshake: its key is a %T", key)}
	}
	secret, err := mysql.EncryptPassword(a.password, a.salt[:saltSize], public)
	if err != nil {
		return nil, &notMySQLError{fmt.Sprintf("malformed handshake: its key: %v", err)}
	}
	return a.exchange(secret)
}

func malformed(packet []byte) error {
	return &notMySQLError{fmt.Sprintf("malformed handshake: an answer that begins with %q", packet[:min(8, len(packet))])}
}

// exchange sends a packet, and returns what the server answers.
func (a *authentication) exchange(body []byte) ([]byte, error) {
	if err := a.write(body); err != nil {
		return nil, err
	}
	return a.read()
}

func (a *authentication) write(body []byte) error {
	packet := append(binary.LittleEndian.AppendUint32(nil, uint32(len(body))), body...)
	packet[3] = a.sequence
	a.sequence++
	if _, err := a.conn.Write(packet); err != nil {
		return fmt.Errorf("authenticate: %w", err)
	}
	return nil
}

// read returns a packet of at least one byte. One that is an error is returned as
// *mysql.MyError.
func (a *authentication) read() ([]byte, error) {
	var header [packetHeaderSize]byte
	if _, err := io.ReadFull(a.conn, header[:]); err != nil {
		return nil, fmt.Errorf("authenticate: %w", err)
	}
	size := int(binary.LittleEndian.Uint32(header[:]) & 0xffffff)
	if header[3] != a.sequence || size == 0 || size > maxHandshake {
		return nil, malformed(header[:])
	}
	a.sequence++
	body := make([]byte, size)
	if _, err := io.ReadFull(a.conn, body); err != nil {
		return nil, fmt.Errorf("authenticate: %w", err)
	}
	if body[0] == mysql.ERR_HEADER && size >= 3 {
		return nil, errorPacket(body)
	}
	return body, nil
}
