import { useState } from 'react';
import { plain } from '@zwsbridge/zws';
import { useConnection, useRequest, useSubscription } from '@zwsbridge/react';

/** The latest value of each topic. */
const latest = {
  initial: new Map(),
  reduce: (readings, message) => new Map(readings).set(message.text(0), message.text()),
};

function Readings({ target, topic }) {
  const { data } = useSubscription(target, topic, latest);
  return (
    <dl>
      {[...data].sort().map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}
    </dl>
  );
}

function Light({ target }) {
  const { request, data, pending, error } = useRequest(target);
  const press = () => request(['light', 'on'], { timeout: 5000 }).catch(() => {}); // error shows it
  return (
    <header>
      <button onClick={press} disabled={pending > 0}>Light on</button>
      {error ? <span role="alert">{error.message}</span> : <output>{data?.text()}</output>}
    </header>
  );
}

function House({ user, login, onLogout }) {
  const { state, error, route } = useConnection('/devices', { login });
  const [shown, setShown] = useState(true);
  return (
    <section>
      <header><h1>House of {user}</h1><button onClick={onLogout}>Log out</button></header>
      <p role="status">{state}</p>
      {error && <p role="alert">{error.message}</p>}
      <label><span><input type="checkbox" checked={shown} onChange={() => setShown(!shown)} /> Readings</span></label>
      {shown && <Readings target={route('/devices')} topic={`house/${user}/`} />}
      <Light target={route('/control')} />
    </section>
  );
}

function Login({ onLogin }) {
  const submit = (event) => {
    event.preventDefault();
    const { user, password } = Object.fromEntries(new FormData(event.target));
    onLogin({ user, login: plain(user, password) });
  };
  return (
    <form onSubmit={submit}>
      <label>User <input name="user" autoComplete="username" required /></label>
      <label>Password <input name="password" type="password" autoComplete="current-password" required /></label>
      <button>Log in</button>
    </form>
  );
}

export function App() {
  const [account, setAccount] = useState(null);
  return account ? <House {...account} onLogout={() => setAccount(null)} /> : <Login onLogin={setAccount} />;
}
