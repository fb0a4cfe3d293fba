/*  A house in C: CZMQ sockets with CURVE that accept the keys in a directory.

    cc -Wall -Wextra -o house house.c -lczmq -lzmq
    ./house [READINGS [COMMANDS [CERT [DIRECTORY]]]]
*/
#include <czmq.h>

static zsock_t *bind_socket (int type, const char *endpoint, zcert_t *cert)
{
    zsock_t *socket = zsock_new (type);
    zcert_apply (cert, socket);
    zsock_set_curve_server (socket, true);
    if (zsock_bind (socket, "%s", endpoint) == -1) {
        zsys_error ("cannot bind %s", endpoint);
        exit (1);
    }
    return socket;
}

static void answer (zsock_t *commands)
{
    zmsg_t *request = zmsg_recv (commands);
    if (!request)
        return;
    char *command = zmsg_popstr (request), *value = zmsg_popstr (request);
    if (command && streq (command, "light") && value)
        zstr_sendf (commands, "ok: the light is %s", value);
    else
        zstr_send (commands, "error: want the frames light, and on or off");
    zstr_free (&command);
    zstr_free (&value);
    zmsg_destroy (&request);
}

int main (int argc, char *argv [])
{
    const char *readings_endpoint = argc > 1? argv [1]: "tcp://127.0.0.1:5556";
    const char *commands_endpoint = argc > 2? argv [2]: "tcp://127.0.0.1:5557";
    const char *name = argc > 3? argv [3]: "certs/house";
    const char *allowed = argc > 4? argv [4]: "certs/allowed";

    zcert_t *cert = zcert_load (name);
    if (!cert) {
        zsys_error ("cannot read %s_secret", name);
        return 1;
    }
    zactor_t *auth = zactor_new (zauth, NULL); // must run before any socket is bound
    zstr_sendx (auth, "CURVE", allowed, NULL);
    zsock_wait (auth);

    zsock_t *readings = bind_socket (ZMQ_PUB, readings_endpoint, cert);
    zsock_t *commands = bind_socket (ZMQ_REP, commands_endpoint, cert);
    printf ("house: readings at %s, commands at %s\n", readings_endpoint, commands_endpoint);
    fflush (stdout);

    zpoller_t *poller = zpoller_new (commands, NULL);
    int64_t due = zclock_mono ();
    for (int second = 0; !zsys_interrupted;) {
        int64_t wait = due - zclock_mono ();
        if (zpoller_wait (poller, wait > 0? (int) wait: 0) == commands)
            answer (commands);
        if (zclock_mono () >= due) {
            char value [16];
            snprintf (value, sizeof value, "%.1f", 20 + second++ % 20 / 10.0);
            zstr_sendx (readings, "house/alice/temperature", value, NULL);
            due += 1000;
        }
    }
    zpoller_destroy (&poller);
    zsock_destroy (&commands);
    zsock_destroy (&readings);
    zactor_destroy (&auth);
    zcert_destroy (&cert);
    return 0;
}
