import { StrictMode, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { plain } from '@zwsbridge/zws';
import { useReadings } from './useReadings.js';

function Login({ onLogin }) {
  const submit = (event) => {
    event.preventDefault();
    const { user, password } = Object.fromEntries(new FormData(event.target));
    onLogin({ user, login: plain(user, password) });
  };
  return (
    <form onSubmit={submit}>
      <label>User <input name="user" autoComplete="username" required /></label>{' '}
      <label>Password <input name="password" type="password" autoComplete="current-password" required /></label>{' '}
      <button>Log in</button>
    </form>
  );
}

function House({ user, login, onLogout }) {
  const { state, error, readings } = useReadings('/devices', `house/${user}/`, login);
  return (
    <section>
      <p role="status">{state}{error?.code ? `: ${error.reason} (${error.code})` : ''}</p>
      <dl>
        {[...readings].sort().map(([topic, value]) => (
          <div key={topic}><dt>{topic}</dt><dd>{value}</dd></div>
        ))}
      </dl>
      <button onClick={onLogout}>Log out</button>
    </section>
  );
}

function App() {
  const [account, setAccount] = useState(null);
  return account ? <House {...account} onLogout={() => setAccount(null)} /> : <Login onLogin={setAccount} />;
}

createRoot(document.getElementById('app')).render(<StrictMode><App /></StrictMode>);
